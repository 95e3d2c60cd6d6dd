"""Precision, recall and F1 of detections at every confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCES: Floats = np.linspace(0, 1, 1001, dtype=np.float64)


@dataclass(frozen=True)
class Matches:
    """The detections of one category. Those that only overlap a crowd are left out: they do not count."""

    scores: Floats
    hits: NDArray[np.bool_]
    """Which detections found an object."""
    objects: int
    """How many objects there are to find."""


@dataclass(frozen=True)
class Curves:
    """One value per confidence: the mean over the categories that have objects."""

    confidence: Floats
    precision: Floats
    """The mean over the categories that have a detection at this confidence; nan where none has."""
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


def curves(matches: Mapping[int, Matches], confidences: Floats = CONFIDENCES) -> Curves:
    """The means over the categories when detections that score below each confidence are dropped."""
    if not matches:
        raise ValueError("there are no objects to find, so precision, recall and F1 mean nothing")
    kept = np.array([_at_least(m.scores, confidences) for m in matches.values()])
    hits = np.array([_at_least(m.scores[m.hits], confidences) for m in matches.values()])
    objects = np.array([[m.objects] for m in matches.values()])
    precision = np.divide(hits, kept, out=np.zeros(kept.shape), where=kept > 0)
    with_detections = (kept > 0).sum(0)
    mean_precision = np.divide(
        precision.sum(0), with_detections, out=np.full(len(confidences), np.nan), where=with_detections > 0
    )
    f1 = 2 * hits / (kept + objects)  # 2 tp / (2 tp + fp + fn)
    return Curves(confidences, mean_precision, (hits / objects).mean(0), f1.mean(0))


def _at_least(scores: Floats, confidences: Floats) -> NDArray[np.int64]:
    """How many scores are not below each confidence."""
    return len(scores) - np.searchsorted(np.sort(scores), confidences, side="left")
