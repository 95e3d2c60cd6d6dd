"""Draws bars of scores, one group for each score or class and one bar in it for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
