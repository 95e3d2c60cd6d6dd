"""Precision, recall and F1 against a slow oracle, and the matching against COCO's own."""

import contextlib
import io

import numpy as np
import pytest

from normreg_plugins.analysis.detection import curves, match

CONFIDENCES = np.linspace(0, 1, 21)


def scene(seed, images=6, categories=3, crowds=True):
    """Objects, and detections that hit, miss, repeat and mistake them, with scores that differ."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 7)):
            box = [*rng.uniform(0, 40, 2), *rng.uniform(8, 30, 2)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(1, categories + 1)),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(crowds and rng.random() < 0.2),
                }
            )
        here = [a for a in annotations if a["image_id"] == image]
        for _ in range(rng.integers(0, 12)):
            box = [*rng.uniform(0, 40, 2), *rng.uniform(8, 30, 2)]
            category = int(rng.integers(1, categories + 1))
            if here and rng.random() < 0.8:
                meant = here[rng.integers(len(here))]
                box = (np.array(meant["bbox"]) + rng.normal(0, 2.0, 4)).clip(1).tolist()
                category = meant["category_id"] if rng.random() < 0.8 else category
            detections.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "bbox": box,
                    "score": float(rng.random()),
                }
            )
    return annotations, detections


def overlap(detection, thing):
    x, y, w, h = detection["bbox"]
    u, v, s, t = thing["bbox"]
    shared = max(0, min(x + w, u + s) - max(x, u)) * max(0, min(y + h, v + t) - max(y, v))
    return shared / (w * h if thing["iscrowd"] else w * h + s * t - shared)


def counts(annotations, detections, threshold):
    """Hits, false alarms and objects, one detection at a time."""
    hits = alarms = 0
    taken = set()
    for detection in sorted(detections, key=lambda d: -d["score"]):
        best, chosen = threshold, None
        crowded = False
        for thing in annotations:
            if thing["image_id"] != detection["image_id"] or thing["id"] in taken:
                continue
            if thing["iscrowd"]:
                crowded |= overlap(detection, thing) >= threshold
            elif overlap(detection, thing) >= best:
                best, chosen = overlap(detection, thing), thing["id"]
        if chosen is not None:
            taken.add(chosen)
            hits += 1
        elif not crowded:
            alarms += 1
    return hits, alarms, sum(not a["iscrowd"] for a in annotations)


def slow_curves(annotations, detections, threshold):
    """At each confidence, drop what scores less and count everything anew."""
    rows = []
    for confidence in CONFIDENCES:
        kept = [d for d in detections if d["score"] >= confidence]
        precisions, recalls, f1s = [], [], []
        for category in sorted({a["category_id"] for a in annotations if not a["iscrowd"]}):
            things = [a for a in annotations if a["category_id"] == category]
            found = [d for d in kept if d["category_id"] == category]
            hits, alarms, objects = counts(things, found, threshold)
            recall = hits / objects
            recalls.append(recall)
            if hits + alarms:
                precision = hits / (hits + alarms)
                precisions.append(precision)
                f1s.append(2 * precision * recall / (precision + recall) if hits else 0)
            else:
                f1s.append(0)
        means = [np.mean(values) if values else np.nan for values in (precisions, recalls, f1s)]
        rows.append(means)
    return np.array(rows).T


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75])
def test_curves_equal_a_count_that_starts_anew_at_every_confidence(seed, threshold):
    annotations, detections = scene(seed)
    ours = curves(match(annotations, detections, threshold), CONFIDENCES)
    precision, recall, f1 = slow_curves(annotations, detections, threshold)
    np.testing.assert_allclose(ours.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(ours.recall, recall, rtol=1e-12)
    np.testing.assert_allclose(ours.f1, f1, rtol=1e-12)


def average_precision(matches):
    """COCO's: precision made monotone, read at 101 recalls."""
    hits = np.cumsum(matches.hits)
    recall, precision = hits / matches.objects, hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return np.mean([envelope[i] if i < len(envelope) else 0 for i in at])


@pytest.mark.parametrize("seed", range(8))
def test_the_matching_is_that_of_coco(seed):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, detections = scene(seed, images=20)
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": i, "width": 80, "height": 80} for i in range(20)],
        "annotations": annotations,
        "categories": [{"id": i, "name": str(i)} for i in (1, 2, 3)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = [average_precision(m) for m in match(annotations, detections).values()]
    assert np.mean(ours) == pytest.approx(evaluation.stats[1], abs=1e-9)


def one(box, score=0.9, image=1, category=1):
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


def thing(box, crowd=0, image=1, category=1):
    return {"image_id": image, "category_id": category, "bbox": box, "iscrowd": crowd}


def test_by_hand():
    """Two objects; found well, found again, missed by place, and one of a class that has none."""
    annotations = [thing([0, 0, 10, 10]), thing([50, 50, 10, 10])]
    detections = [
        one([0, 0, 10, 9], 0.9),
        one([0, 0, 10, 10], 0.8),
        one([30, 30, 10, 10], 0.4),
        one([0, 0, 10, 10], 0.99, category=2),
    ]
    lines = curves(match(annotations, detections))
    assert lines.at(0.85) == {"confidence": 0.85, "precision": 1, "recall": 0.5, "f1": 2 / 3}
    assert lines.at(0.5)["precision"] == 0.5
    assert lines.at(0.0)["precision"] == pytest.approx(1 / 3)
    assert np.isnan(lines.at(0.95)["precision"])
    assert lines.at(0.95)["f1"] == 0
    assert lines.best()["f1"] == pytest.approx(2 / 3)


def test_a_detection_on_the_threshold_is_kept_and_counts():
    annotations = [thing([0, 0, 10, 10])]
    lines = curves(match(annotations, [one([0, 0, 10, 5], score=0.5)]))  # IoU exactly 0.5
    assert lines.at(0.5)["recall"] == 1
    assert lines.at(0.501)["recall"] == 0


def test_what_lies_in_a_crowd_counts_neither_way():
    annotations = [thing([0, 0, 10, 10]), thing([20, 20, 50, 50], crowd=1)]
    detections = [one([0, 0, 10, 10]), one([30, 30, 5, 5]), one([40, 40, 5, 5])]
    assert curves(match(annotations, detections)).at(0.5)["precision"] == 1


def test_boxes_without_area_hit_nothing():
    assert curves(match([thing([5, 5, 0, 0])], [one([5, 5, 0, 0])])).at(0)["recall"] == 0


def test_nothing_to_find_is_an_error():
    with pytest.raises(ValueError, match="no objects"):
        curves(match([thing([0, 0, 9, 9], crowd=1)], [one([0, 0, 9, 9])]))


def test_no_detections_is_zero_recall():
    lines = curves(match([thing([0, 0, 9, 9])], []))
    assert (lines.recall == 0).all()
    assert np.isnan(lines.precision).all()


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_outside_its_range_is_refused(confidence):
    lines = curves(match([thing([0, 0, 9, 9])], []))
    with pytest.raises(ValueError, match="between 0 and 1"):
        lines.at(confidence)
