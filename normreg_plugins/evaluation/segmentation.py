"""Segmentation: masks as files, their scores (IoU, accuracy, mIoU) from a confusion matrix, and pictures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from normreg_plugins.crowd.data.images import UNREADABLE, Pixels
from normreg_plugins.files import atomic_path
from normreg_plugins.plots import new_figure, save

IGNORED = 255
"""The label of pixels that do not count."""

Labels = NDArray[np.integer[Any]]


class MaskError(ValueError):
    """A mask that cannot be used."""


def read_mask(path: Path) -> Labels:
    """The labels in a picture of one channel, with or without a palette."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P"):
                raise MaskError(f"{path} is a picture of mode {picture.mode}, not of one label per pixel (L or P)")
            return np.asarray(picture)
    except (FileNotFoundError, MaskError):
        raise
    except UNREADABLE as error:
        raise MaskError(f"{path}: cannot be read as a picture: {error}") from error


def save_mask(labels: NDArray[np.uint8], path: Path, palette: Sequence[Sequence[int]] | None = None) -> None:
    """Write the labels as a PNG with a palette, so that viewers show colours. Default: the palette of PASCAL VOC."""
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette(np.asarray(palette or voc_palette(), dtype=np.uint8).tobytes())
    with atomic_path(path) as unfinished:
        picture.save(unfinished, format="PNG")


def voc_palette() -> list[list[int]]:
    """The 256 colours of PASCAL VOC, as (red, green, blue).

    Bits 0, 3, 6 of the label are the highest bits of red; bits 1, 4, 7 those of green; bits 2, 5 those of blue.
    """
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return np.hstack([np.packbits(bits[:, first::3], axis=1) for first in range(3)]).tolist()


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


def _ratio(part: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)


def _size(labels: Labels) -> str:
    return " x ".join(map(str, labels.shape[::-1]))


IGNORED_COLOUR = (224, 224, 192)  # as in PASCAL VOC
Palette = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Row:
    """One image, its true mask, and the mask that each run predicted."""

    name: str
    image: Pixels
    truth: Labels
    predicted: Mapping[str, Labels]


def coloured(labels: Labels, palette: Palette) -> Pixels:
    """The mask as an RGB picture."""
    table = np.tile(np.array(IGNORED_COLOUR, dtype=np.uint8), (IGNORED + 1, 1))
    table[: len(palette)] = np.array(palette, dtype=np.uint8)
    return np.asarray(table[labels])


def plot_rows(rows: Sequence[Row], classes: Sequence[str], palette: Palette, path: Path) -> None:
    """Write a picture with one row per image. Below it are the names of the classes that occur."""
    columns = 2 + len(rows[0].predicted)
    heights = [row.image.shape[0] / row.image.shape[1] for row in rows]
    figure = new_figure(2.6 * columns, 2.8 * sum(heights) + 1)
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for row, places in zip(rows, grid, strict=True):
        masks = {"truth": row.truth, **row.predicted}
        pictures = [row.image, *(coloured(mask, palette) for mask in masks.values())]
        for axes, title, picture in zip(places, (row.name, *masks), pictures, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title, fontsize=8)
            axes.set_axis_off()
    figure.legend(handles=_legend(rows, classes, palette), loc="outside lower center", ncols=min(7, columns + 2))
    save(figure, path, photographs=True)


def _legend(rows: Sequence[Row], classes: Sequence[str], palette: Palette) -> list[Any]:
    from matplotlib.patches import Patch

    masks = [mask for row in rows for mask in (row.truth, *row.predicted.values())]
    occurring = set(np.concatenate([np.unique(mask) for mask in masks]).tolist())
    named = [(name, palette[label]) for label, name in enumerate(classes) if label in occurring]
    named += [("ignored", IGNORED_COLOUR)] if IGNORED in occurring else []
    return [Patch(facecolor=np.divide(colour, 255), edgecolor="grey", label=name) for name, colour in named]
