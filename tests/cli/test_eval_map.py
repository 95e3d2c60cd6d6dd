"""`eval-map` on drawn detections: its numbers, its pictures, and what it refuses."""

import json
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("pycocotools")

from normreg_plugins.cli import eval_map

CATEGORIES = [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}]
BOXES = {1: [(9, [0, 0, 10, 10]), (4, [30, 30, 20, 20])], 2: [(4, [5, 5, 30, 30])]}


@pytest.fixture
def run(tool):
    """What the command returned, printed and complained of."""

    def run(*args):
        done = tool("eval_map.py", *args)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / "ann.json"
    boxes = [
        {"image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for image, boxes in BOXES.items()
        for category, box in boxes
    ]
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in (2, 1)],
        "annotations": [{"id": number, **box} for number, box in enumerate(boxes, start=1)],
        "categories": CATEGORIES,
    }
    path.write_text(json.dumps(coco))
    return path


def coco_json(path, images=BOXES, **change):
    """Perfect detections."""
    boxes = [(image, *box) for image in images for box in BOXES[image]]
    found = [{"image_id": i, "category_id": c, "bbox": box, "score": 0.8, **change} for i, c, box in boxes]
    path.write_text(json.dumps(found))
    return path


def test_perfect_and_half_found(run, annotations, tmp_path):
    files = (coco_json(tmp_path / "all.json"), coco_json(tmp_path / "half.json", images=[1]))
    names = ("--names", "all", "half")
    code, printed, complaint = run(annotations, *files, *names, "--confidence", 0.5, "--out", tmp_path / "eval")
    assert code == 0, complaint
    metrics = json.loads((tmp_path / "eval" / "detection_metrics.json").read_text())
    assert metrics["all"]["mAP"] == metrics["all"]["mAP50"] == pytest.approx(1)
    assert metrics["all"]["at_confidence"] == {"confidence": 0.5, "precision": 1, "recall": 1, "f1": 1}
    # dogs: all found; cats: one of two, so recall 3/4 and F1 (1 + 2/3) / 2
    assert metrics["half"]["at_confidence"]["recall"] == pytest.approx(0.75)
    assert metrics["half"]["best_f1"]["f1"] == pytest.approx(5 / 6)
    assert metrics["half"]["mAP50"] == pytest.approx((1 + 51 / 101) / 2)
    assert all((tmp_path / "eval" / name).stat().st_size for name in eval_map.FILES)
    assert all(name in printed for name in ("all", "half"))


@pytest.mark.parametrize(
    ("found", "flags", "drawn"),
    [
        ([1], (), [2, 1]),  # the cat of image 2 is missed
        ([1, 2], ("--best",), [1, 2]),  # nothing is missed, and image 1 has more boxes
    ],
)
def test_the_worst_or_the_best_are_drawn(found, flags, drawn, run, annotations, tmp_path, monkeypatch):
    for image in BOXES:
        Image.new("RGB", (64, 64)).save(tmp_path / f"{image}.png")
    images = []
    monkeypatch.setattr(eval_map, "plot_detected_images", lambda rows, *_: images.extend(int(row.name) for row in rows))
    files = (annotations, coco_json(tmp_path / "p.json", images=found), "--out", tmp_path / "eval")
    code, _, complaint = run(*files, "--images", tmp_path, "--pictures", 2, *flags)
    assert code == 0, complaint
    assert images == drawn


def test_a_model_of_some_classes_is_scored_on_those(run, annotations, tmp_path):
    cats = [{"image_id": 2, "category_id": 4, "bbox": [5, 5, 30, 30], "score": 0.9}]
    (tmp_path / "p.json").write_text(json.dumps(cats))
    assert run(annotations, tmp_path / "p.json", "--classes", "cat", "--out", tmp_path)[0] == 0
    (row,) = json.loads((tmp_path / "detection_metrics.json").read_text()).values()
    assert row["best_f1"]["recall"] == 0.5


@pytest.mark.parametrize(
    ("make", "extra", "words"),
    [
        (lambda p: coco_json(p, image_id=77), (), "1 values of image_id that the annotations"),
        (Path.exists, (), "No such file"),
        (coco_json, ("--classes", "bird"), "the annotations have no bird"),
        (coco_json, ("--confidence", 2), "must lie between 0 and 1"),
        (coco_json, ("--pictures", 1, "--out", "eval"), "needs --images"),
    ],
)
def test_what_does_not_fit_is_named(run, annotations, tmp_path, make, extra, words):
    make(tmp_path / "p.json")
    code, _, complaint = run(annotations, tmp_path / "p.json", *extra)
    assert (code, words in complaint) == (2, True), complaint
