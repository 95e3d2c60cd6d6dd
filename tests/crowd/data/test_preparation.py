"""One image of a crowd set: its picture, its people, and what is counted as odd."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from normreg_plugins.crowd.data.images import ORIENTATION, read_rgb
from normreg_plugins.crowd.data.points import neighbour_distances, read_qnrf_points
from normreg_plugins.crowd.data.preparation import RawImage, prepare_image


@pytest.fixture
def prepared(tmp_path):
    """Draw an image with these points, prepare it, and return its picture before and after, its people, its record."""

    def prepare(size=(40, 50), points=((3.0, 4.0), (30.0, 20.0)), **save):
        (tmp_path / "out/train").mkdir(parents=True)
        raw = RawImage("a", tmp_path / "a.jpg", tmp_path / "a_ann.mat", "train")
        pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(raw.picture, **save)
        savemat(raw.annotation, {"annPoints": np.array(points, dtype=float)})
        record = prepare_image(raw, tmp_path / "out", (32, 64), read_qnrf_points)
        picture = tmp_path / "out" / record["picture"]
        return raw.picture, picture, np.load(picture.with_suffix(".npy"), allow_pickle=False), record

    return prepare


def test_a_picture_within_bounds_is_copied_byte_for_byte(prepared):
    before, after, people, record = prepared()
    assert before.read_bytes() == after.read_bytes()
    np.testing.assert_array_equal(people[:, :2], [[3, 4], [30, 20]])
    np.testing.assert_array_equal(people[:, 2], neighbour_distances(people[:, :2]))
    sizes = {"width": 40, "height": 50, "raw_size": [40, 50]}
    assert record == {"name": "a", "picture": "train/a.jpg", "count": 2, "odd": {}} | sizes


@pytest.mark.parametrize(("size", "new"), [((20, 16), (40, 32)), ((200, 128), (100, 64))])
def test_sides_and_points_are_scaled_together(prepared, size, new):
    _, picture, people, record = prepared(size, [(2, 4), (10, 8), size])
    np.testing.assert_allclose(people[:, :2], np.array([(2, 4), (10, 8), size]) * new[0] / size[0], rtol=1e-6)
    np.testing.assert_array_equal(people[:, 2], neighbour_distances(people[:, :2]))
    assert read_rgb(picture).shape == (new[1], new[0], 3)
    assert record["raw_size"] == list(size)


ODD = {"points outside": 1, "points not finite": 1, "duplicate points": 1}


@pytest.mark.parametrize(
    ("settings", "odd"),
    [
        ({"points": [(3, 4), (3, 4), (41, 3), (np.nan, 1)]}, ODD),
        ({"points": np.zeros((0, 2))}, {"empty": 1}),
        ({"size": (6, 60_000)}, {"points outside": 1, "shape too long for the size bounds": 1}),
    ],
)
def test_what_is_odd_is_counted(prepared, settings, odd):
    *_, people, record = prepared(**settings)
    assert record["odd"] == odd
    assert people.shape == (record["count"], 3)


def test_a_tag_does_not_turn_the_picture_under_its_points(prepared):
    """The file is stored 40 x 50 and viewers show it 50 x 40; the written one has no tag."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    _, picture, people, record = prepared(points=[(3, 4), (10, 49)], exif=exif)
    assert (record["width"], record["height"], len(people), record["odd"]) == (40, 50, 2, {})
    assert read_rgb(picture).shape == read_rgb(picture, upright=True).shape == (50, 40, 3)
