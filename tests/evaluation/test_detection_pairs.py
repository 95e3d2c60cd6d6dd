"""Which detection belongs to which box, against a slow search by hand."""

import itertools
import random

import numpy as np
import pytest

pytest.importorskip("pycocotools")

from normreg_plugins.evaluation.detection import load_annotations, mistakes, pairs_by_image


def coco_of(tmp_path, annotations, images=(1,)):
    import json

    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in images],
        "annotations": annotations,
        "categories": [{"id": 4, "name": "cat"}, {"id": 9, "name": "dog"}],
    }
    (tmp_path / "ann.json").write_text(json.dumps(content))
    return load_annotations(tmp_path / "ann.json")


def true(category, bbox, image=1, iscrowd=0):
    return {"image_id": image, "category_id": category, "bbox": bbox, "iscrowd": iscrowd}


def found(category, bbox, score=0.9, image=1):
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


def overlap(a, b):
    left, top = max(a[0], b[0]), max(a[1], b[1])
    right, bottom = min(a[0] + a[2], b[0] + b[2]), min(a[1] + a[3], b[1] + b[3])
    shared = max(0, right - left) * max(0, bottom - top)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def by_hand(boxes, detections, places):
    counts, taken = np.zeros((3, 3), dtype=int), set()
    for detection in sorted(detections, key=lambda d: -d["score"]):
        free = [(overlap(detection["bbox"], b["bbox"]), -i) for i, b in enumerate(boxes) if i not in taken]
        best, place = max(free, default=(0, 0))
        if best >= 0.5:
            taken.add(-place)
            counts[places[boxes[-place]["category_id"]], places[detection["category_id"]]] += 1
        else:
            counts[2, places[detection["category_id"]]] += 1
    for i, missed in enumerate(boxes):
        counts[places[missed["category_id"]], 2] += i not in taken
    return counts


def counts_of(pairs):
    """A row for each true class and one for nothing, a column for each predicted class and one for nothing."""
    counts, places = np.zeros((3, 3), dtype=int), {4: 0, 9: 1}
    for true_box, detection in itertools.chain.from_iterable(pairs.values()):
        row, column = (places[box["category_id"]] if box else 2 for box in (true_box, detection))
        counts[row, column] += 1
    return counts


def test_drawn_boxes_against_a_search_by_hand(tmp_path):
    rng = random.Random(0)

    def drawn():
        return [rng.randrange(60), rng.randrange(60), rng.randrange(15, 40), rng.randrange(15, 40)]

    boxes = [true(rng.choice([4, 9]), drawn(), image) for image, _ in itertools.product((1, 2, 3), range(6))]
    near = [[x + rng.randrange(-4, 5) for x in box["bbox"]] for box in boxes]
    detections = [
        found(rng.choice([4, 9]), bbox, rng.random(), box["image_id"]) for box, bbox in zip(boxes, near, strict=True)
    ]
    detections += [found(9, drawn(), rng.random(), image) for image in (1, 2, 3)]
    kept = [d for d in detections if d["score"] >= 0.2]
    expected = sum(
        by_hand([b for b in boxes if b["image_id"] == i], [d for d in kept if d["image_id"] == i], {4: 0, 9: 1})
        for i in (1, 2, 3)
    )
    pairs = pairs_by_image(coco_of(tmp_path, boxes, (1, 2, 3)), detections, [4, 9], 0.2)
    counts = counts_of(pairs)
    np.testing.assert_array_equal(counts, expected)
    assert sum(map(mistakes, pairs.values())) == counts.sum() - np.trace(counts[:2, :2])


def test_a_crowd_takes_detections_out_and_is_not_missed(tmp_path):
    coco = coco_of(tmp_path, [true(4, [0, 0, 50, 50], iscrowd=1), true(9, [60, 60, 20, 20])])
    inside, right = found(4, [5, 5, 10, 10]), found(9, [60, 60, 20, 20])
    counts = counts_of(pairs_by_image(coco, [inside, inside, right], [4, 9], 0.5))
    np.testing.assert_array_equal(counts, [[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_an_image_with_nothing_has_no_pairs(tmp_path):
    assert pairs_by_image(coco_of(tmp_path, []), [], [4, 9], 0.5) == {1: []}
