"""Draws the layers of a model as bars, as long as their filters and in the colour of the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from normreg_plugins.core import Kind, Verdicts
from normreg_plugins.core.model import filters_of
from normreg_plugins.plots import HATCHES, OKABE_ITO, log_scale, new_figure, save

LOOKS = {kind: (OKABE_ITO[place], hatch) for kind, place, hatch in zip(Kind, (2, 6, 0, 3, 5, 1), HATCHES)}
MOST_NAMES = 120
ROW = 0.165
"""The height of a bar in inches."""


@torch.no_grad()
def plot_verdicts(model: nn.Module, verdicts: Verdicts, path: Path) -> None:
    """Write a picture with a bar for each weight: the mean filter norm, and a line from the least to the greatest.

    A filter of norm 0 is left out of the line, because the axis is logarithmic.
    """
    figure = new_figure(8, ROW * min(len(verdicts), MOST_NAMES) + 1.3)
    ax = figure.subplots()
    ranges = []
    for row, verdict in enumerate(verdicts):
        layer = model.get_submodule(verdict.name.rpartition(".")[0])
        norms = [norm for norm in filters_of(layer).norms(model.get_parameter(verdict.name)).flatten().tolist() if norm]
        if not norms:
            continue
        mean, least, most = sum(norms) / len(norms), min(norms), max(norms)
        colour, hatch = LOOKS[verdict.kind]
        ax.barh(row, mean, 0.8, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4)
        ax.plot([least, most], [row, row], color="black", linewidth=1.1, marker="|", markersize=4)
        ranges += [least, most]
    _finish(ax, verdicts, ranges)
    figure.legend(handles=_legend(verdicts), loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    save(figure, path)


def _finish(ax: Any, verdicts: Verdicts, ranges: list[float]) -> None:
    if ranges:
        least, most = min(ranges) / 1.3, max(ranges) * 1.3
        ax.set_xscale("log")
        ax.set_xlim(least, most)
        log_scale(ax.xaxis, least, most)
    every = -(-len(verdicts) // MOST_NAMES)
    shown = range(0, len(verdicts), every)
    ax.set_yticks(list(shown), [verdicts[i].name.removesuffix(".weight") for i in shown], fontsize=6.5)
    ax.set_ylim(len(verdicts) - 0.4, -0.6)
    ax.set_xlabel("filter norm: mean (bar), least to greatest (line)", fontsize=9)
    ax.tick_params(axis="x", labelsize=8)
    ax.grid(axis="x", alpha=0.25)
    ax.set_axisbelow(True)


def _legend(verdicts: Verdicts) -> list[Any]:
    from matplotlib.patches import Patch

    counts = verdicts.counts
    return [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=f"{kind.value} ({counts[kind.value]})")
        for kind, (colour, hatch) in LOOKS.items()
        if kind.value in counts
    ]
