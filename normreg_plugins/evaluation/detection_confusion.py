"""Which class a detector took for which, with what it missed and what it invented."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IOU = 0.5
Box = dict[str, Any]
Pair = tuple[Box | None, Box | None]
"""A true box and the detection that found it; None for a missed box or a detection of nothing."""


def pairs_by_image(
    coco: Any, detections: Sequence[Box], category_ids: Sequence[int], confidence: float
) -> dict[int, list[Pair]]:
    """For each image its pairs at this confidence. Classes need not agree: that is what the matrix is about.

    The best detection chooses first, the free box that it overlaps most, if the IoU is 0.5 or more. Boxes that are
    marked as crowds are left out, with the detections that lie in them.
    """
    wanted = set(category_ids)
    found = defaultdict(list)
    for detection in detections:
        if detection["score"] >= confidence:
            found[detection["image_id"]].append(detection)
    pairs = {}
    for image_id in coco.getImgIds():
        boxes = [box for box in coco.imgToAnns[image_id] if box["category_id"] in wanted]
        pairs[image_id] = _pairs(boxes, sorted(found[image_id], key=lambda box: -box["score"]))
    return pairs


def detection_confusion(pairs: dict[int, list[Pair]], category_ids: Sequence[int]) -> NDArray[np.int64]:
    """Counts: a row for each true class and one for nothing, a column for each predicted class and one for nothing."""
    place: dict[int | None, int] = {category: index for index, category in enumerate(category_ids)}
    counts = np.zeros((len(place) + 1, len(place) + 1), dtype=np.int64)
    for some in pairs.values():
        for true, predicted in some:
            row = place[true["category_id"]] if true else -1
            column = place[predicted["category_id"]] if predicted else -1
            counts[row, column] += 1
    return counts


def mistakes(pairs: Sequence[Pair]) -> int:
    """How many boxes of an image were missed, invented or given the wrong class."""
    right = sum(1 for true, found in pairs if true and found and true["category_id"] == found["category_id"])
    return len(pairs) - right


def _pairs(boxes: list[Box], detections: list[Box]) -> list[Pair]:
    from pycocotools.mask import iou

    crowd = [bool(box.get("iscrowd")) for box in boxes]
    overlaps = np.asarray(iou([d["bbox"] for d in detections], [b["bbox"] for b in boxes], crowd))
    overlaps = overlaps.reshape(len(detections), len(boxes))  # it gives an empty list where there is nothing
    free = [not each for each in crowd]
    pairs: list[Pair] = []
    for detection, row in zip(detections, overlaps, strict=True):
        best = int(np.argmax(np.where(free, row, -1.0))) if any(free) else -1
        if best >= 0 and row[best] >= IOU:
            free[best] = False
            pairs.append((boxes[best], detection))
        elif not any(each and overlap >= IOU for each, overlap in zip(crowd, row, strict=True)):
            pairs.append((None, detection))
    return pairs + [(box, None) for box, left in zip(boxes, free, strict=True) if left]
