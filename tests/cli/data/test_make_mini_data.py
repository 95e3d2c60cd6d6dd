"""The drawn sets: the same bytes for the same settings, made once, and labels that fit their pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation
from sklearn.datasets import load_digits

from normreg_plugins.cli.data.drawn_shapes import draw_scene, label_map
from normreg_plugins.cli.data.make_mini_data import KINDS, make_mini_set
from normreg_plugins.cli.main import main
from normreg_plugins.evaluation.segmentation import IGNORED

SMALL = {"train": 6, "val": 3, "size": 64}


def draw(capsys, kind, out, **settings):
    """The command, in this process."""
    options = [f"--{name}={value}" for name, value in {**SMALL, **settings, "out": out}.items()]
    return main(["make-mini-data", kind, *options]), *capsys.readouterr()


def pictures_in(folder):
    found = [path for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".txt", ".json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.parent != folder}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_settings_draw_the_same_bytes_and_a_seed_changes_them(kind, tmp_path, capsys):
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        code, out, err = draw(capsys, kind, tmp_path / name, seed=seed)
        assert (code, "6 + 3 images of 64 px" in out) == (0, True), err
    assert pictures_in(tmp_path / "one") == pictures_in(tmp_path / "two")
    assert pictures_in(tmp_path / "one") != pictures_in(tmp_path / "other")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")}
    code, out, _ = draw(capsys, kind, tmp_path / "one")
    assert (code, "already prepared" in out) == (0, True)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")}


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("detection", {"train": 7}, "other settings or images (train)"),
        ("detection", {"val": 0}, "val must be at least 1"),
        ("detection", {"size": 10, "seed": -1}, "size must be at least 64, got 10; seed must be at least 0, got -1"),
        ("classification", {"train": 1797}, "1797 digits, 1797 + 3 asked for"),
    ],
)
def test_bad_settings_are_refused_and_nothing_is_touched(kind, settings, words, tmp_path, capsys):
    out = tmp_path / ("set" if kind == "detection" else "digits")
    draw(capsys, "detection", tmp_path / "set")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    code, _, err = draw(capsys, kind, out, **settings)
    assert (code, words in err) == (2, True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


def test_boxes_are_those_of_the_masks_and_shapes_do_not_touch():
    for seed in range(5):
        scene = draw_scene(np.random.default_rng(seed), 96)
        assert scene.things
        taken = np.zeros((96, 96), dtype=int)
        for thing in scene.things:
            rows, columns = np.nonzero(thing.mask)
            x, y, width, height = thing.box
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max() + 1, rows.max() + 1) == (x + width, y + height)
            taken += thing.mask
        assert taken.max() == 1


def test_shapes_have_their_class_and_a_border_of_one_pixel_that_is_ignored():
    scene = draw_scene(np.random.default_rng(0), 96)
    labels = label_map(scene)
    for thing in scene.things:
        assert (labels[thing.mask] == thing.label + 1).all()
    shapes = (labels > 0) & (labels != IGNORED)
    np.testing.assert_array_equal(binary_dilation(shapes, np.ones((3, 3))), labels > 0)


def test_each_digit_is_in_the_folder_of_its_class_once(tmp_path):
    make_mini_set("classification", tmp_path / "set", train=1000, val=797, size=8)
    images = {path.relative_to(tmp_path / "set"): Image.open(path) for path in (tmp_path / "set").rglob("*.png")}
    digits = load_digits()
    expected = sorted(
        (str(y), (x * 255 / 16).round().astype(np.uint8).tobytes()) for x, y in zip(digits.images, digits.target)
    )
    assert sorted((path.parts[1], image.tobytes()) for path, image in images.items()) == expected
    assert sum(path.parts[0] == "train" for path in images) == 1000
