"""Bars of scores and confusion matrices, for every task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.plots import bar_style, new_figure, save

BAR = 0.19
"""The height of one bar in inches. Names of classes are long, so bars lie."""


def plot_bars(runs: Mapping[str, Sequence[float]], groups: Sequence[str], path: Path, *, label: str) -> None:
    """Write a picture of lying bars, the first group at the top.

    Args:
        runs: a value for each group, by the name of the run. A group without a value has nan.
        label: what the values are.
    """
    height = len(groups) * (BAR * len(runs) + 0.14)
    figure = new_figure(7.5, height + 1.1)
    axes = figure.subplots()
    draw_bars(axes, runs, groups)
    axes.set_xlabel(label, fontsize=9)
    if len(runs) > 1:
        figure.legend(loc="outside upper left", ncols=min(4, len(runs)), frameon=False, fontsize=9)
    save(figure, path)


def draw_bars(axes: Any, runs: Mapping[str, Sequence[float]], groups: Sequence[str]) -> None:
    width = 0.8 / len(runs)
    for index, (name, values) in enumerate(runs.items()):
        places = [group + (index + 0.5) * width - 0.4 for group in range(len(groups))]
        shown = [0.0 if math.isnan(value) else value for value in values]
        bars = axes.barh(places, shown, width, label=name, **bar_style(index))
        texts = ["none" if math.isnan(value) else f"{value:.3g}" for value in values]
        axes.bar_label(bars, texts, padding=2, fontsize=7)
    axes.set_yticks(range(len(groups)), groups, fontsize=8)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


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


def spread(number: int, shown: int) -> list[int]:
    """So many places, evenly spread over a set of this number."""
    return np.unique(np.linspace(0, number - 1, min(shown, number)).round().astype(int)).tolist() if number else []
