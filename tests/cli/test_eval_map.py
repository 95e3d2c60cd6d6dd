import json
import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("pycocotools")

from normreg_plugins.cli import eval_map

CATEGORIES = [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}]
BOXES = {1: [(9, [0, 0, 10, 10]), (4, [30, 30, 20, 20])], 2: [(4, [5, 5, 30, 30])]}


@pytest.fixture
def run(tool):
    """Run it in this process, which is faster: what it returned, printed and complained of."""

    def run(*args):
        done = tool("eval_map.py", *args)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / "ann.json"
    boxes = [(image, *box) for image, boxes in BOXES.items() for box in boxes]
    coco = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in (2, 1)],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for number, (image, category, box) in enumerate(boxes, start=1)
        ],
        "categories": CATEGORIES,
    }
    path.write_text(json.dumps(coco))
    return path


def mm_pickle(path, score=0.8, images=BOXES):
    """Perfect detections, as mm's test.py --out writes them: corners, labels in the file's order."""
    labels = [category["id"] for category in CATEGORIES]
    samples = []
    for image in images:
        boxes = [[x, y, x + w, y + h] for _, (x, y, w, h) in BOXES[image]]
        samples.append(
            {
                "img_id": image,
                "pred_instances": {
                    "bboxes": torch.tensor(boxes, dtype=torch.float32),
                    "scores": torch.full((len(boxes),), score),
                    "labels": torch.tensor([labels.index(c) for c, _ in BOXES[image]]),
                },
            }
        )
    path.write_bytes(pickle.dumps(samples, protocol=2))
    return path


def coco_json(path, **change):
    detections = [
        {"image_id": image, "category_id": category, "bbox": box, "score": 0.8, **change}
        for image, boxes in BOXES.items()
        for category, box in boxes
    ]
    path.write_text(json.dumps(detections))
    return path


def test_perfect_and_half_found_in_both_formats(run_tool, annotations, tmp_path):
    perfect = mm_pickle(tmp_path / "perfect.pkl")
    same = coco_json(tmp_path / "same.json")
    half = mm_pickle(tmp_path / "half.pkl", images=[1])
    done = run_tool(
        "eval_map.py", annotations, perfect, same, half, "--names", "pkl", "json", "half",
        "--confidence", 0.5, "--out", tmp_path / "eval",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "eval" / "detection_metrics.json").read_text())
    assert metrics["pkl"] == metrics["json"]
    assert metrics["pkl"]["mAP"] == metrics["pkl"]["mAP50"] == pytest.approx(1)
    assert metrics["pkl"]["at_confidence"] == {
        "confidence": 0.5, "precision": 1, "recall": 1, "f1": 1,
    }  # fmt: skip
    # dogs: all found; cats: one of two, so recall 3/4 and F1 (1 + 2/3) / 2
    assert metrics["half"]["at_confidence"]["recall"] == pytest.approx(0.75)
    assert metrics["half"]["best_f1"]["f1"] == pytest.approx(5 / 6)
    assert metrics["half"]["mAP50"] == pytest.approx((1 + 51 / 101) / 2)
    picture = (tmp_path / "eval" / "detection_curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    for name in ("pkl", "json", "half"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("found", "flags", "drawn"),
    [
        ([1], (), [2, 1]),  # the cat of image 2 is missed
        ([1], ("--best",), [1, 2]),
        ([1, 2], ("--best",), [1, 2]),  # nothing is missed, and image 1 has more boxes
    ],
)
def test_the_worst_or_the_best_are_drawn(found, flags, drawn, run, annotations, tmp_path, monkeypatch):
    for image in BOXES:
        Image.new("RGB", (64, 64)).save(tmp_path / f"{image}.png")
    images = []
    monkeypatch.setattr(eval_map, "plot_detected_images", lambda rows, *_: images.extend(int(row.name) for row in rows))
    files = (annotations, mm_pickle(tmp_path / "p.pkl", images=found), "--out", tmp_path / "eval")
    code, _, complaint = run(*files, "--images", tmp_path, "--pictures", 2, *flags)
    assert code == 0, complaint
    assert images == drawn


def test_results_are_not_overwritten(run, annotations, tmp_path):
    args = (annotations, coco_json(tmp_path / "p.json"), "--out", tmp_path / "eval")
    assert run(*args)[0] == 0
    before = (tmp_path / "eval" / "detection_metrics.json").stat().st_mtime_ns
    code, _, complaint = run(*args)
    assert code == 2
    assert "exists: choose another --out" in complaint
    assert (tmp_path / "eval" / "detection_metrics.json").stat().st_mtime_ns == before


def test_a_model_of_some_classes_is_scored_on_those(run, annotations, tmp_path):
    cats = [{"image_id": 2, "category_id": 4, "bbox": [5, 5, 30, 30], "score": 0.9}]
    (tmp_path / "p.json").write_text(json.dumps(cats))
    out = ("--classes", "cat", "--out", tmp_path / "eval")
    assert run(annotations, tmp_path / "p.json", *out)[0] == 0
    metrics = json.loads((tmp_path / "eval" / "detection_metrics.json").read_text())
    (row,) = metrics.values()
    assert row["best_f1"]["recall"] == 0.5


@pytest.mark.parametrize(
    ("make", "extra", "words"),
    [
        (lambda p: coco_json(p, image_id=77), (), "1 values of image_id that the annotations"),
        (lambda p: coco_json(p, category_id=77), (), "1 values of category_id"),
        (lambda p: p.write_text("[]"), (), "has no detections"),
        (Path.exists, (), "No such file"),
        (coco_json, ("--classes", "bird"), "the annotations have no bird"),
        (coco_json, ("--confidence", 2), "must lie between 0 and 1"),
        (coco_json, ("--names", "a", "b"), "need 1 different names"),
    ],
)
def test_what_does_not_fit_is_named(run, annotations, tmp_path, make, extra, words):
    make(tmp_path / "p.json")
    code, _, complaint = run(annotations, tmp_path / "p.json", *extra)
    assert code == 2
    assert words in complaint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "is no COCO annotation file"),
        ("{", "is no valid JSON, perhaps cut off"),
        ('{"images": []}', "is no COCO annotation file"),
    ],
)
def test_a_file_without_annotations_is_named(run, tmp_path, text, says):
    (tmp_path / "ann.json").write_text(text)
    code, _, complaint = run(tmp_path / "ann.json", coco_json(tmp_path / "p.json"))
    assert code == 2
    assert "ann.json" in complaint
    assert says in complaint
