"""Draws confusion matrices: which class was taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.plots import new_figure, save

MOST_NUMBERS = 25
"""With more classes, the numbers in the cells could not be read."""

LARGEST = 12.0
"""The side of a matrix in inches."""


def plot_confusion(
    runs: Mapping[str, NDArray[np.integer[Any]]],
    true: Sequence[str],
    predicted: Sequence[str],
    path: Path,
    *,
    unit: str,
) -> None:
    """Write a picture with one matrix for each run, its rows in percent of the true class.

    Args:
        runs: counts; a row is a true class, a column a predicted one.
        unit: what is counted, such as "pixels".
    """
    classes = max(len(true), len(predicted))
    side = 1.9 + min(0.36, LARGEST / classes) * classes
    figure = new_figure(side * len(runs) + 0.8, side)
    axes = figure.subplots(1, len(runs), squeeze=False)[0]
    for ax, (name, counts) in zip(axes, runs.items(), strict=True):
        image = _draw(ax, in_percent(counts), true, predicted)
        ax.set_title(name, fontsize=10)
    axes[0].set_ylabel("true class", fontsize=9)
    bar = figure.colorbar(image, ax=list(axes), shrink=0.8, aspect=30, pad=0.01)
    bar.set_label(f"% of the {unit} of the true class", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    save(figure, path)


def in_percent(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Each row in percent of its sum; nan for a class that does not occur."""
    sums = counts.sum(1, keepdims=True)
    return np.divide(100.0 * counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)


def _draw(ax: Any, percent: NDArray[np.float64], true: Sequence[str], predicted: Sequence[str]) -> Any:
    image = ax.imshow(percent, cmap="cividis", vmin=0, vmax=100)
    ax.set_facecolor("lightgrey")
    ax.set_xticks(range(len(predicted)), predicted, rotation=90, fontsize=8)
    ax.set_yticks(range(len(true)), true, fontsize=8)
    ax.set_xlabel("predicted class", fontsize=9)
    if max(percent.shape) <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(percent):
            if value >= 0.5:
                colour = "white" if value < 50 else "black"
                ax.text(column, row, f"{value:.0f}", color=colour, ha="center", va="center", fontsize=7)
    return image
