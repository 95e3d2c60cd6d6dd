"""The pictures of a comparison: a dot for each seed, validation over the rates, and two strengths over twin axes."""

from __future__ import annotations

import statistics
from pathlib import Path
from textwrap import fill
from typing import Any

from normreg_plugins.plots import MARKERS, OKABE_ITO, log_scale, new_figure, save, style
from research.comparison.description import Comparison
from research.comparison.plan import Found, cells_to_choose_from
from research.comparison.scores import test_scores
from research.spread_plot import plot_dots


def draw(comparison: Comparison, found: Found, folder: Path) -> list[Path]:
    """Write the pictures that there are results for, and return their paths."""
    made = [_draw_dots(comparison, found, folder / f"{comparison.name}_scores.png")]
    if comparison.rate and max(len(comparison.rates_for(method)) for method in comparison.methods) > 1:
        made.append(_draw_rates(comparison, found, folder / f"{comparison.name}_rates.png"))
    if comparison.sweeps:
        made.append(_draw_sweeps(comparison, found, folder / f"{comparison.name}_sweeps.png"))
    return [path for path in made if path is not None]


def _known(scores: dict[int, float | None]) -> list[float]:
    return [score for score in scores.values() if score is not None]


def _draw_dots(comparison: Comparison, found: Found, path: Path) -> Path | None:
    """The first score by column; of a table with one column, every score."""
    name, *more = comparison.scores.values()
    panels = {
        f"{title}, {column}" if column else title: {
            method: _known(test_scores(comparison, found, column, method, key)) for method in comparison.drawn
        }
        for title, key in comparison.scores.items()
        for column in comparison.columns
        if key == name or (more and len(comparison.columns) == 1)
    }
    panels = {title: values for title, values in panels.items() if any(values.values())}
    if not panels:
        return None
    plot_dots(panels, path)
    return path


def _draw_rates(comparison: Comparison, found: Found, path: Path) -> Path | None:
    """What the rates were chosen by. A rate at which training failed has no point."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for column in comparison.columns:
        for method in comparison.drawn:
            tried = cells_to_choose_from(comparison, column, method)
            for rate, cells in tried.items():
                scores = [found[cell].validation for cell in cells if cell in found]
                known = [score for score in scores if score is not None]
                if rate is not None and known:
                    points = curves.setdefault(column, {}).setdefault(method, [])
                    points.append((rate, statistics.mean(known)))
    if not curves:
        return None
    figure = new_figure(4.6 * len(curves) + 0.6, 3.6)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    order = comparison.drawn
    for ax, (column, methods) in zip(panels, curves.items(), strict=True):
        for method, points in methods.items():
            looks = {**style(order.index(method), len(points)), "markevery": 1}
            ax.semilogx(*zip(*sorted(points), strict=True), label=method, **looks)
        ax.set(xlabel=comparison.rate, ylabel="validation score", title=fill(column or comparison.title, 44))
        drawn = [rate for points in methods.values() for rate, _ in points]
        log_scale(ax.xaxis, min(drawn), max(drawn))
        ax.legend(fontsize=7)
        ax.grid(alpha=0.25)
    save(figure, path)
    return path


def _draw_sweeps(comparison: Comparison, found: Found, path: Path) -> Path | None:
    """The first score over each strength: a panel for each column, an axis for each sweep, the second one on top."""
    name = next(iter(comparison.scores.values()))
    swept = [method for places in comparison.sweeps.values() for method in places]
    columns = [c for c in comparison.columns if any(test_scores(comparison, found, c, m, name) for m in swept)]
    if not columns:
        return None
    figure = new_figure(5.2 * len(columns), 4.2)
    panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    for ax, column in zip(panels, columns, strict=True):
        for index, (title, places) in enumerate(comparison.sweeps.items()):
            side = ax if index == 0 else ax.twiny()
            _draw_sweep(side, comparison, found, column, index, places)
            side.set_xscale("log")
            side.set_xlim(min(places.values()) / 2, max(places.values()) * 2)
            side.set_xlabel(title, color=OKABE_ITO[index])
        ax.set_ylabel(next(iter(comparison.scores)))
        ax.set_title(column)
        ax.grid(alpha=0.25)
    save(figure, path)
    return path


def _draw_sweep(ax: Any, comparison: Comparison, found: Found, column: str, index: int, places: Any) -> None:
    name = next(iter(comparison.scores.values()))
    looks = {"color": OKABE_ITO[index], "marker": MARKERS[index]}
    means = []
    for method, place in places.items():
        values = _known(test_scores(comparison, found, column, method, name))
        ax.scatter([place] * len(values), values, s=22, alpha=0.5, linewidth=0, **looks)
        means += [(place, statistics.mean(values))] if values else []
    if means:
        dashes = ("-", "--")[index % 2]
        ax.plot(*zip(*sorted(means), strict=True), linewidth=1.4, color=OKABE_ITO[index], linestyle=dashes)
