"""Scores of segmentations from one table of counts: IoU and accuracy per class, mIoU, pixel accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.analysis.masks import IGNORED, Labels, MaskError


@dataclass(frozen=True)
class Scores:
    """Between 0 and 1; nan for a class that neither the truth nor the prediction has."""

    iou: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    """The share of each class's pixels that were found; nan where it has none."""
    pixel_accuracy: float

    @property
    def mean_iou(self) -> float:
        """Over the classes that occur, as everywhere."""
        return float(np.nanmean(self.iou))


def confusion(truth: Labels, predicted: Labels, classes: int, ignored: int = IGNORED) -> NDArray[np.int64]:
    """How many pixels of each class (row) were taken for each class (column)."""
    if truth.shape != predicted.shape:
        raise MaskError(f"the prediction is {_size(predicted)}, the truth {_size(truth)}")
    counted = truth != ignored
    rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for what, labels in (("the truth", rows), ("the prediction", columns)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            strange = labels[(labels < 0) | (labels >= classes)][0]
            raise MaskError(f"{what} has label {strange}; there are {classes} classes, 0 to {classes - 1}")
    return np.bincount(classes * rows + columns, minlength=classes**2).reshape(classes, classes)


def scores(counts: NDArray[np.int64]) -> Scores:
    """From the sum of the tables of all images."""
    if not counts.sum():
        raise MaskError("no pixel counts: the truth is all ignored, or there is none")
    found, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    return Scores(_ratio(found, true + predicted - found), _ratio(found, true), float(found.sum() / counts.sum()))


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _size(labels: Labels) -> str:
    return " x ".join(map(str, labels.shape[::-1]))
