"""Scores of segmentations from a confusion matrix: IoU and accuracy per class, mIoU and pixel accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.evaluation.mask_files import IGNORED, Labels, MaskError


@dataclass(frozen=True)
class Scores:
    """Numbers between 0 and 1. `iou` is nan for a class that neither the truth nor the prediction has."""

    iou: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    """The share of the pixels of each class that were found; nan for a class that the truth does not have."""
    pixel_accuracy: float

    @property
    def mean_iou(self) -> float:
        """The mean over the classes that occur, as in mmseg."""
        return float(np.nanmean(self.iou))


def confusion(truth: Labels, predicted: Labels, classes: int, ignored: int = IGNORED) -> NDArray[np.int64]:
    """The confusion matrix: how many pixels of each true class (row) were predicted as each class (column)."""
    if truth.shape != predicted.shape:
        raise MaskError(f"the prediction is {_size(predicted)}, the truth {_size(truth)}")
    counted = truth != ignored
    rows, columns = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for what, labels in (("the truth", rows), ("the prediction", columns)):
        unknown = labels[(labels < 0) | (labels >= classes)]
        if unknown.size:
            raise MaskError(f"{what} has label {unknown[0]}; there are {classes} classes, 0 to {classes - 1}")
    return np.bincount(classes * rows + columns, minlength=classes**2).reshape(classes, classes)


def scores(counts: NDArray[np.int64]) -> Scores:
    """The scores of a data set, from the sum of the confusion matrices of all images."""
    if not counts.sum():
        raise MaskError("no pixel counts: every pixel of the truth is ignored, or there are no images")
    found, true, predicted = np.diag(counts), counts.sum(1), counts.sum(0)
    return Scores(_ratio(found, true + predicted - found), _ratio(found, true), float(found.sum() / counts.sum()))


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _size(labels: Labels) -> str:
    return " x ".join(map(str, labels.shape[::-1]))
