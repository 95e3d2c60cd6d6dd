import json

import numpy as np
import pytest
from PIL import Image

from normreg_plugins.cli.data.mini_data import drawn_boxes
from normreg_plugins.cli.data.mini_data.recipe import Recipe, make_once
from normreg_plugins.cli.data.mini_data.scenes import SHAPES, draw_scene

SMALL = ("--train", 6, "--val", 3, "--size", 96)


def everything_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_settings_draw_the_same_bytes_and_a_seed_changes_them(run_tool, tmp_path):
    folders = {}
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        done = run_tool("data/make_mini_data.py", "detection", *SMALL, "--seed", seed, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        folders[name] = everything_in(tmp_path / name)
    assert folders["one"] == folders["two"]
    assert folders["one"]["train/000000.png"] != folders["other"]["train/000000.png"]


def test_it_says_what_it_made_and_makes_it_once(run_tool, tmp_path):
    first = run_tool("data/make_mini_data.py", "detection", *SMALL, "--out", tmp_path / "set")
    assert "6 + 3 images" in first.stdout
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}
    again = run_tool("data/make_mini_data.py", "detection", *SMALL, "--out", tmp_path / "set")
    assert again.returncode == 0
    assert "already made" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*")}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--train", 7), "train 6 there, 7 asked for"),
        (("--val", 0), "val must be at least 1"),
        (("--size", 10), "at least 64 pixels, got 10"),
        (("--seed", -1), "seed must not be negative"),
    ],
)
def test_bad_settings_are_refused_and_nothing_is_touched(run_tool, tmp_path, args, words):
    out = ("--out", tmp_path / "set")
    run_tool("data/make_mini_data.py", "detection", *SMALL, *out)
    before = everything_in(tmp_path)
    done = run_tool("data/make_mini_data.py", "detection", *SMALL, *args, *out)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert everything_in(tmp_path) == before


def test_a_folder_with_other_files_is_not_overwritten(run_tool, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    done = run_tool("data/make_mini_data.py", "detection", *SMALL, "--out", tmp_path)
    assert done.returncode == 2
    assert "did not make" in done.stderr
    assert everything_in(tmp_path) == {"mine.txt": b"precious"}


def test_a_drawing_that_breaks_leaves_nothing_behind(tmp_path):
    def breaks(folder, _recipe):
        (folder / "half.png").write_bytes(b"half")
        raise RuntimeError("out of paint")

    with pytest.raises(RuntimeError, match="out of paint"):
        make_once(tmp_path / "set", Recipe("detection", 1, 1, 64), breaks)
    assert list(tmp_path.iterdir()) == []


def test_boxes_are_those_of_the_masks_and_shapes_do_not_touch():
    for seed in range(20):
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


def test_a_shape_stands_out_from_its_ground():
    """A detector can only find what is there: the edge of every mask is an edge in the image."""
    for seed in range(20):
        scene = draw_scene(np.random.default_rng(seed), 96)
        everywhere = np.any([thing.mask for thing in scene.things], axis=0)
        for thing in scene.things:
            x, y, width, height = thing.box
            around = ~everywhere[y : y + height, x : x + width]
            if around.sum() < 20:  # a square along the axes fills its box
                continue
            patch = scene.image[y : y + height, x : x + width].astype(float)
            inside = scene.image[thing.mask].astype(float).mean(0)
            assert np.abs(inside - patch[around].mean(0)).max() > 20


def test_the_set_is_what_pycocotools_reads(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    recipe = Recipe("detection", train=30, val=5, size=96)
    make_once(tmp_path / "set", recipe, drawn_boxes.draw)
    for split, count in (("train", 30), ("val", 5)):
        coco = COCO(str(tmp_path / "set" / "annotations" / f"{split}.json"))
        assert len(coco.getImgIds()) == count
        assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(SHAPES)
        for image in coco.loadImgs(coco.getImgIds()):
            path = tmp_path / "set" / split / image["file_name"]
            with Image.open(path) as picture:
                assert picture.size == (image["width"], image["height"])
            assert coco.getAnnIds(imgIds=image["id"])
    train = json.loads((tmp_path / "set" / "annotations" / "train.json").read_text())
    labels = [annotation["category_id"] for annotation in train["annotations"]]
    assert min(labels.count(label) for label in (1, 2, 3)) > 0.2 * len(labels)
