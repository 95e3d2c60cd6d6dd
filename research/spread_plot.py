"""Draws results that were measured several times: a dot for each, or bars with quartiles."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from normreg_plugins.plots import MARKERS, OKABE_ITO, bar_style, log_scale, new_figure, save

Values = Mapping[str, Sequence[float]]
TITLE_WIDTH = 44
"""Characters of a title that have room over one panel."""


def plot_dots(scores: Mapping[str, Values], path: Path) -> None:
    """Write a picture with a panel for each score: a line for each method, a dot for each seed, a stroke for the mean.

    Args:
        scores: by the title of the score, then by the name of the method. A method without values has an empty line.
    """
    rows = max(len(methods) for methods in scores.values())
    figure = new_figure(4.2 * len(scores) + 0.8, 0.42 * rows + 1.1)
    axes = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
    for ax, (title, methods) in zip(axes, scores.items(), strict=True):
        for row, (_, values) in enumerate(methods.items()):
            looks = {"color": OKABE_ITO[row % 7], "marker": MARKERS[row % 7]}
            ax.scatter(values, [row] * len(values), s=34, alpha=0.75, linewidth=0, **looks)
            if values:
                ax.plot([statistics.mean(values)] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1.6)
        ax.set_yticks(range(rows), methods, fontsize=9)
        ax.set_ylim(rows - 0.5, -0.5)
        ax.set_title(fill(f"{title}: each seed, and the mean", TITLE_WIDTH), fontsize=10)
        _plain(ax)
    save(figure, path)


def plot_quartiles(measured: Values, path: Path, *, label: str, reference: float | None = None) -> None:
    """Write a picture with a bar for each name, as long as the median, and a whisker from quartile to quartile.

    Args:
        measured: two values or more for each name.
        label: what was measured, with its unit.
        reference: draw a line here.
    """
    figure = new_figure(8, 0.36 * len(measured) + 1.1)
    ax = figure.subplots()
    quartiles = [statistics.quantiles(values, n=4) for values in measured.values()]
    medians = [middle for _, middle, _ in quartiles]
    whiskers = [[middle - low for low, middle, _ in quartiles], [high - middle for _, middle, high in quartiles]]
    bars = ax.barh(range(len(measured)), medians, 0.66, xerr=whiskers, capsize=3, **bar_style(0))
    ax.bar_label(bars, [f"{median:.3g}" for median in medians], padding=4, fontsize=8)
    if max(medians) > 20 * min(medians) > 0:
        ax.set_xscale("log")
        log_scale(ax.xaxis, min(medians), max(medians))
    if reference is not None:
        ax.axvline(reference, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(measured)), measured, fontsize=9)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel(f"{label}; median and quartiles", fontsize=9)
    _plain(ax)
    save(figure, path)


def _plain(ax: Any) -> None:
    ax.tick_params(axis="x", labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", alpha=0.25)
    ax.set_axisbelow(True)
