"""The pictures of a comparison: a dot for each seed, validation over the rates, and two strengths over twin axes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from normreg_plugins.plots import MARKERS, OKABE_ITO, log_scale, new_figure, save, style
from research.compare.cells import Results, cells_to_choose_from
from research.compare.description import Comparison
from research.compare.scores import scores_of

Methods = dict[str, list[Any]]
"""Of one panel, by method: its scores, or its points (x, y)."""


def draw(comparison: Comparison, found: Results, folder: Path) -> list[Path]:
    """Write the pictures that there are results for, and return their paths."""
    columns = {column: _scores(comparison, found, column, comparison.first_score) for column in comparison.columns}
    dots = {f"{next(iter(comparison.scores))}, {column}".strip(", "): methods for column, methods in columns.items()}
    if [*columns] == [""]:  # there is room for every score
        dots = {title: _scores(comparison, found, "", name) for title, name in comparison.scores.items()}
    pictures: dict[str, tuple[Callable[..., Any], dict[str, Methods]]] = {"scores": (_draw_dots, dots)}
    if len(comparison.rates) > 1:
        curves = {column: _curves(comparison, found, column) for column in comparison.columns}
        pictures["rates"] = _draw_rates, curves
    if comparison.is_grid:
        pictures["grids"] = _draw_grids, _grids(comparison, found)
    if comparison.sweeps:
        pictures["sweeps"] = _draw_sweeps, columns
    made = []
    for name, (draw_panels, panels) in pictures.items():
        if panels := {title: methods for title, methods in panels.items() if any(methods.values())}:
            made.append(folder / f"{comparison.name}_{name}.png")
            save(draw_panels(comparison, panels), made[-1])
    return made


def _scores(comparison: Comparison, found: Results, column: str, name: str) -> Methods:
    """By method, the test scores of the seeds that have one."""
    scores = {method: scores_of(comparison, found, column, method, name) for method in comparison.drawn}
    return {method: [score for score in each.values() if score is not None] for method, each in scores.items()}


def _curves(comparison: Comparison, found: Results, column: str) -> Methods:
    """By method: each rate, its mean validation score, and the deviation over seeds. None of a rate that diverged."""
    curves: Methods = {method: [] for method in comparison.drawn}
    for method, points in curves.items():
        for rate, cells in cells_to_choose_from(comparison, column, method).items():
            scores = [found[cell].validation for cell in cells if cell in found]
            known = [score for score in scores if score is not None]
            if rate is not None and known:
                points.append((rate, statistics.mean(known), statistics.stdev(known) if len(known) > 1 else 0.0))
    return {method: sorted(points) for method, points in curves.items()}


def _titled(score: str, column: str) -> str:
    return ", ".join(part for part in (score, column) if part)


def _grids(comparison: Comparison, found: Results) -> dict[str, Methods]:
    """By score and column: of each method, the mean score at every rate, NaN where no training ended."""
    grids: dict[str, Methods] = {}
    for title, name in comparison.scores.items():
        for column in comparison.columns:
            panel = grids[_titled(title, column)] = {}
            for method in comparison.methods:
                cells = [scores_of(comparison, found, column, method, name, r) for r in comparison.rates_for(method)]
                known = [[score for score in cell.values() if score is not None] for cell in cells]
                panel[method] = [statistics.mean(scores) if scores else math.nan for scores in known]
    return grids


def _draw_grids(comparison: Comparison, panels: Mapping[str, Methods]) -> Any:
    """A square for each method and rate. Each score has a row, and a scale of colours: two decades, or percentages."""
    rows, wide = len(comparison.scores), len(comparison.columns)
    figure = new_figure(2.5 * wide + 1.2, 2.6 * rows)
    grid = figure.subplots(rows, wide, squeeze=False, sharex=True, sharey=True)
    rates = comparison.rates_for(next(iter(comparison.methods)))
    for score, axes in zip(comparison.scores, grid, strict=True):
        images = [list(panels[_titled(score, column)].values()) for column in comparison.columns]
        known = [value for image in images for row in image for value in row if value > 0]  # not NaN either
        logarithmic = {"norm": "log", "vmin": max(min(known), max(known) / 100)}
        colours = {"vmax": max(known), **({"vmin": min(known)} if "%" in score else logarithmic)}
        for ax, column, image in zip(axes, comparison.columns, images, strict=True):
            drawn = ax.imshow(image, aspect="auto", cmap="cividis", **colours)
            ax.set_title(column, fontsize=9)
        axes[0].set_yticks(range(len(comparison.methods)), comparison.methods, fontsize=8)
        figure.colorbar(drawn, ax=axes, label=score)
    for ax in grid[-1]:
        ax.set_xticks(range(len(rates)), [f"{rate:.2g}" for rate in rates], fontsize=7, rotation=60)
        ax.set_xlabel(comparison.rate)
    return figure


def _draw_dots(comparison: Comparison, panels: Mapping[str, Methods]) -> Any:
    """A row for each method: a dot for each seed and a stroke for the mean."""
    figure = new_figure(4.2 * len(panels) + 0.8, 0.42 * len(comparison.drawn) + 1.1)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, methods) in zip(axes, panels.items(), strict=True):
        for row, values in enumerate(methods.values()):
            looks = {"color": OKABE_ITO[row % 7], "marker": MARKERS[row % 7]}
            ax.scatter(values, [row] * len(values), s=34, alpha=0.75, linewidth=0, **looks)
            if values:
                ax.plot([statistics.mean(values)] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1.6)
        ax.set_yticks(range(len(methods)), methods, fontsize=9)
        ax.set_ylim(len(methods) - 0.5, -0.5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="x", alpha=0.25)
        ax.set_title(fill(f"{title}: each seed, and the mean", 44), fontsize=10)
    return figure


def _draw_rates(comparison: Comparison, panels: Mapping[str, Methods]) -> Any:
    """Validation over the rates, at most three panels beside each other."""
    rows, wide = math.ceil(len(panels) / 3), min(3, len(panels))
    figure = new_figure(4.6 * wide + 0.6, 3.6 * rows)
    axes = figure.subplots(rows, wide, squeeze=False).flat
    for ax, (column, methods) in zip(axes, panels.items(), strict=False):
        for index, (method, points) in enumerate(methods.items()):
            if points:
                rates, means, bars = zip(*points, strict=True)
                ax.errorbar(
                    rates, means, bars, label=method, capsize=2, **{**style(index, len(points)), "markevery": 1}
                )
        ax.set(xlabel=comparison.rate, ylabel="validation score", title=fill(column or comparison.title, 44))
        ax.set_xscale("log")
        drawn = [rate for points in methods.values() for rate, *_ in points]
        log_scale(ax.xaxis, min(drawn), max(drawn))
        ax.legend(fontsize=7)
        ax.grid(alpha=0.25)
    return figure


def _draw_sweeps(comparison: Comparison, panels: Mapping[str, Methods]) -> Any:
    """The first score over each strength: a panel for each column, an axis for each sweep, the second one on top."""
    figure = new_figure(5.2 * len(panels), 4.2)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (column, methods) in zip(axes, panels.items(), strict=True):
        for index, (title, places) in enumerate(comparison.sweeps.items()):
            side, color = ax.twiny() if index else ax, OKABE_ITO[index]
            points = [(place, score) for method, place in places.items() for score in methods[method]]
            means = [(place, statistics.mean(methods[method])) for method, place in places.items() if methods[method]]
            if points:
                side.scatter(*zip(*points), s=22, alpha=0.5, linewidth=0, color=color, marker=MARKERS[index])
                side.plot(*zip(*sorted(means)), linewidth=1.4, color=color, linestyle=("-", "--")[index % 2])
            side.set_xscale("log")
            side.set_xlim(min(places.values()) / 2, max(places.values()) * 2)
            side.set_xlabel(title, color=color)
        ax.set(ylabel=next(iter(comparison.scores)), title=column)
        ax.grid(alpha=0.25)
    return figure
