"""Precision, recall and F1 at each validation are those that eval_map.py finds in saved detections."""

import json

import pytest

pytest.importorskip("mmengine")
pytest.importorskip("pycocotools")

import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement, InstanceData

import normreg_plugins.hosts.mmengine  # noqa: F401  (it registers the metric)
from normreg_plugins.evaluation.detection import category_ids, curves, detection_scores, load_annotations
from normreg_plugins.evaluation.detection_files import from_mm

pytestmark = pytest.mark.mm
CLASSES = ("cat", "dog")
BOXES = {1: [(9, [0, 0, 10, 10]), (4, [30, 30, 20, 20])], 2: [(4, [5, 5, 30, 30]), (9, [40, 40, 9, 9])]}


@pytest.fixture
def ann_file(tmp_path):
    boxes = [(image, *box) for image, boxes in BOXES.items() for box in boxes]
    annotations = [
        {"id": n, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for n, (image, category, box) in enumerate(boxes, start=1)
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in BOXES],
        "annotations": annotations,
        "categories": [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}, {"id": 5, "name": "fish"}],
    }
    path = tmp_path / "ann.json"
    path.write_text(json.dumps(content))
    return path


def sample(image, *detections):
    """Detections as (label, box, score); label 0 is the first class in the file's order, dog."""
    boxes = torch.tensor([[x, y, x + w, y + h] for _, (x, y, w, h), _ in detections], dtype=torch.float32)
    found = InstanceData(
        bboxes=boxes.reshape(-1, 4),
        labels=torch.tensor([label for label, _, _ in detections], dtype=torch.int64),
        scores=torch.tensor([score for *_, score in detections]),
    )
    element = BaseDataElement(metainfo={"img_id": image})
    element.pred_instances = found
    return element


SAMPLES = [
    sample(1, (0, [0, 0, 10, 10], 0.9), (1, [30, 30, 20, 20], 0.05), (1, [0, 30, 5, 5], 0.2)),
    sample(2, (1, [6, 5, 30, 30], 0.4), (0, [0, 0, 5, 5], 0.15)),
]


def evaluate(ann_file, samples, **settings):
    evaluator = Evaluator([{"type": "NormRegPrecisionRecallMetric", "ann_file": str(ann_file), **settings}])
    evaluator.dataset_meta = {"classes": CLASSES}
    evaluator.process(samples, data_batch=None)
    return evaluator.evaluate(len(samples))


def test_they_are_those_of_the_saved_detections(ann_file):
    samples = [{"img_id": s.img_id, "pred_instances": s.pred_instances.to_dict()} for s in SAMPLES]
    coco = load_annotations(ann_file)
    ids = category_ids(coco, CLASSES)
    expected = curves(detection_scores(coco, from_mm(samples, ids), ids).matches)
    scores = evaluate(ann_file, SAMPLES, confidence=0.3)
    at = expected.at(0.3)
    assert scores == {f"detection/{name}": at[name] for name in ("precision", "recall", "f1")} | {
        "detection/best_f1": expected.best()["f1"]
    }
    assert 0 < scores["detection/f1"] <= scores["detection/best_f1"] < 1


def test_without_detections_precision_is_not_logged(ann_file):
    scores = evaluate(ann_file, [sample(1), sample(2)])
    assert scores == {"detection/recall": 0, "detection/f1": 0, "detection/best_f1": 0}
