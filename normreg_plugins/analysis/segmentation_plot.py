"""Predicted masks beside the true ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from normreg_plugins.analysis.masks import IGNORED, Labels

NOBODY_ASKS = (224, 224, 192)
"""The colour of ignored pixels, VOC's."""

Pixels = NDArray[np.uint8]
Palette = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Row:
    """One image, its true mask, and what each run made of it."""

    name: str
    image: Pixels
    truth: Labels
    predicted: Mapping[str, Labels]


def coloured(labels: Labels, palette: Palette) -> Pixels:
    table = np.tile(np.array(NOBODY_ASKS, dtype=np.uint8), (IGNORED + 1, 1))
    table[: len(palette)] = np.array(palette, dtype=np.uint8)
    return np.asarray(table[labels])


def plot_rows(rows: Sequence[Row], classes: Sequence[str], palette: Palette, path: Path) -> None:
    """A PNG file with one image per row, and the classes that occur named below."""
    columns = 2 + len(rows[0].predicted)
    heights = [row.image.shape[0] / row.image.shape[1] for row in rows]
    figure = Figure(figsize=(2.6 * columns, 2.8 * sum(heights) + 1), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for row, places in zip(rows, grid, strict=True):
        masks = {"truth": row.truth, **row.predicted}
        pictures = [row.image, *(coloured(mask, palette) for mask in masks.values())]
        for axes, title, picture in zip(places, (row.name, *masks), pictures, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title, fontsize=8)
            axes.set_axis_off()
    figure.legend(handles=_legend(rows, classes, palette), loc="outside lower center", ncols=min(7, columns + 2))
    unfinished = path.with_name(f".unfinished-{path.name}")
    figure.savefig(unfinished, format="png", dpi=110)
    unfinished.replace(path)


def _legend(rows: Sequence[Row], classes: Sequence[str], palette: Palette) -> list[Patch]:
    occurring = {
        int(label) for row in rows for mask in (row.truth, *row.predicted.values()) for label in np.unique(mask)
    }
    named = [(name, palette[label]) for label, name in enumerate(classes) if label in occurring]
    named += [("ignored", NOBODY_ASKS)] if IGNORED in occurring else []
    return [Patch(facecolor=[level / 255 for level in colour], edgecolor="grey", label=name) for name, colour in named]
