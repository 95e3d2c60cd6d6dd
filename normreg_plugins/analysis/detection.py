"""Precision, recall and F1 of detections at every confidence (the WRS paper's Fig. 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCES: Floats = np.linspace(0, 1, 1001, dtype=np.float64)


@dataclass(frozen=True)
class Matches:
    """The detections of one category that count, best score first."""

    scores: Floats
    hits: NDArray[np.bool_]
    """Which of them found an object."""
    objects: int
    """How many objects there were to find."""


@dataclass(frozen=True)
class Curves:
    """One value per confidence, each the mean over the categories that have objects."""

    confidence: Floats
    precision: Floats
    """The mean over the categories that have a detection left; nan where none has."""
    recall: Floats
    f1: Floats

    def at(self, confidence: float) -> dict[str, float]:
        """The three numbers when detections below `confidence` are dropped."""
        if not 0 <= confidence <= 1:
            raise ValueError(f"a confidence lies between 0 and 1, got {confidence}")
        position = min(int(np.searchsorted(self.confidence, confidence)), len(self.confidence) - 1)
        names = ("confidence", "precision", "recall", "f1")
        return {name: float(getattr(self, name)[position]) for name in names}

    def best(self) -> dict[str, float]:
        """The same at the confidence with the highest F1."""
        return self.at(float(self.confidence[np.argmax(self.f1)]))


def match(
    annotations: Iterable[Mapping[str, Any]],
    detections: Iterable[Mapping[str, Any]],
    iou_threshold: float = 0.5,
) -> dict[int, Matches]:
    """Which detections found an object, per category that has objects.

    Both come as COCO writes them (`image_id`, `category_id`, `bbox` as x, y, width, height; `score`,
    `iscrowd`). As in COCO's own evaluation, the detections of an image choose in the order of their
    scores, each the free object of its category that it overlaps most; one that only meets a crowd
    counts neither for nor against.
    """
    truth, found = _by_category_and_image(annotations), _by_category_and_image(detections)
    return {
        category: _category_matches(images, found.get(category, {}), iou_threshold)
        for category, images in sorted(truth.items())
        if any(not a.get("iscrowd") for objects in images.values() for a in objects)
    }


def _by_category_and_image(boxes: Iterable[Mapping[str, Any]]) -> dict[int, dict[int, list[Any]]]:
    grouped: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for box in boxes:
        grouped[box["category_id"]][box["image_id"]].append(box)
    return grouped


def _category_matches(truth: Mapping[int, list[Any]], found: Mapping[int, list[Any]], iou_threshold: float) -> Matches:
    scores: list[float] = []
    hits: list[bool] = []
    for image, detections in found.items():
        ranked = sorted(detections, key=lambda detection: -detection["score"])
        outcomes = _image_outcomes(truth.get(image, []), ranked, iou_threshold)
        counted = [(d["score"], o) for d, o in zip(ranked, outcomes, strict=True) if o is not None]
        scores += [score for score, _ in counted]
        hits += [hit for _, hit in counted]
    order = np.argsort(-np.array(scores, dtype=float), kind="stable")
    objects = sum(not a.get("iscrowd") for image in truth.values() for a in image)
    return Matches(np.array(scores, dtype=float)[order], np.array(hits, dtype=bool)[order], objects)


def _image_outcomes(objects: list[Any], ranked: list[Any], iou_threshold: float) -> list[bool | None]:
    """Of each detection, best first: True, it found an object; False, none; None, only a crowd."""
    if not objects:
        return [False] * len(ranked)
    crowd = np.array([bool(o.get("iscrowd")) for o in objects])
    overlap = iou(_boxes(ranked), _boxes(objects), crowd)
    free = ~crowd
    outcomes: list[bool | None] = []
    for row in overlap:
        candidates = np.where(free, row, -1.0)
        chosen = int(candidates.argmax())
        if candidates[chosen] >= iou_threshold:
            free[chosen] = False
            outcomes.append(True)
        else:
            outcomes.append(None if (row[crowd] >= iou_threshold).any() else False)
    return outcomes


def _boxes(entries: list[Any]) -> Floats:
    return np.array([entry["bbox"] for entry in entries], dtype=float).reshape(-1, 4)


def iou(detections: Floats, objects: Floats, crowd: NDArray[np.bool_]) -> Floats:
    """Overlaps of x, y, width, height boxes; with a crowd, the part of the detection inside it."""
    first, second = detections[:, None, :], objects[None, :, :]
    ends = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    sides = (ends - np.maximum(first[..., :2], second[..., :2])).clip(min=0)
    shared = sides[..., 0] * sides[..., 1]
    area, other = first[..., 2] * first[..., 3], second[..., 2] * second[..., 3]
    whole = np.where(crowd, area, area + other - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def curves(matches: Mapping[int, Matches], confidences: Floats = CONFIDENCES) -> Curves:
    """The means over categories when detections that score below each confidence are dropped."""
    if not matches:
        raise ValueError("there are no objects to find, so precision, recall and F1 mean nothing")
    kept = np.array([_at_least(m.scores, confidences) for m in matches.values()])
    hits = np.array([_at_least(m.scores[m.hits], confidences) for m in matches.values()])
    objects = np.array([[m.objects] for m in matches.values()])
    precision = np.divide(hits, kept, out=np.full(kept.shape, np.nan), where=kept > 0)
    with_detections = (kept > 0).sum(0)
    mean_precision = np.divide(
        np.nansum(precision, 0),
        with_detections,
        out=np.full(len(confidences), np.nan),
        where=with_detections > 0,
    )
    f1 = 2 * hits / (kept + objects)  # 2 tp / (2 tp + fp + fn)
    return Curves(confidences, mean_precision, (hits / objects).mean(0), f1.mean(0))


def _at_least(descending_scores: Floats, confidences: Floats) -> NDArray[np.int64]:
    """How many scores are not below each confidence."""
    below = np.searchsorted(descending_scores[::-1], confidences, side="left")
    return len(descending_scores) - below
