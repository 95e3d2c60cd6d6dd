"""Draws predicted masks beside the image and the true mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from normreg_plugins.crowd.data import Pixels
from normreg_plugins.evaluation.mask_files import IGNORED, Labels
from normreg_plugins.plots import new_figure, save

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
