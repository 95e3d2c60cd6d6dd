"""What all studies share: a list of runs, one training each, then a table and, where the paper has one, a figure.

A study is a module with its equation, its settings (a subclass of `Run`), what it measures (an outcome), and a `Study`.
Rows, columns and the list of runs are made from the same axes:

    METHODS = axis("method", ("WD", "WRS"))          # {"WD": {"method": "WD"}, "WRS": {"method": "WRS"}}
    SIZES = axis("batch", (32, 4), "B = {}")
    STUDY = Study(updates=250, runs=grid(Run, METHODS, SIZES), train=train, table=table, draw=draw)
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from matplotlib.axes import Axes
from rich.console import Console
from rich.progress import track
from rich.table import Table

from normreg_plugins.plots import style

Axis = Mapping[str, Mapping[str, Any]]
"""By label, the settings of a row or a column."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a study. A subclass adds its settings."""

    seed: int
    updates: int


R = TypeVar("R", bound=Run)
Out = TypeVar("Out")


class Results(dict[R, Out]):
    """The outcome of every run."""

    def where(self, **settings: Any) -> Results[R, Out]:
        """The runs with these settings."""
        return Results({r: o for r, o in self.items() if all(getattr(r, k) == v for k, v in settings.items())})

    def each(self, field: str) -> list[Any]:
        """One field of all outcomes."""
        return [getattr(outcome, field) for outcome in self.values()]

    def powers(self, x: Callable[[R, Out], float], y: Callable[[Out], float]) -> list[float]:
        """By seed, the power p in y ~ x^p: the slope of log y over log x."""
        found = []
        for seed in sorted({run.seed for run in self}):
            line = np.log([(x(run, outcome), y(outcome)) for run, outcome in self.where(seed=seed).items()])
            found.append(float(np.polyfit(line[:, 0], line[:, 1], 1)[0]))
        return found


@dataclass(frozen=True)
class Study(Generic[R, Out]):
    """One experiment of a paper.

    Args:
        updates: the length of a run.
        runs: what to train, for a number of seeds and of updates.
    """

    updates: int
    runs: Callable[[int, int], Sequence[R]]
    train: Callable[[R], Out]
    table: Callable[[Results[R, Out]], Table]
    draw: Callable[[Results[R, Out], Axes], None] | None = None


def axis(field: str, values: Iterable[Any], label: str = "{}") -> Axis:
    """Rows or columns that differ in one setting."""
    return {label.format(value): {field: value} for value in values}


def grid(run: type[R], *axes: Axis) -> Callable[[int, int], list[R]]:
    """Runs for every combination of the axes and every seed."""

    def runs(seeds: int, updates: int) -> list[R]:
        settings = [
            {key: value for part in parts for key, value in part.items()}
            for parts in itertools.product(*(each.values() for each in axes))
        ]
        return [run(**each, seed=seed, updates=updates) for each in settings for seed in range(seeds)]

    return runs


def mean_and_error(values: Sequence[float], digits: int = 1) -> str:
    """The mean and, of several values, their standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def cross_table(
    title: str,
    results: Results[R, Out],
    rows: Axis,
    columns: Axis,
    show: Callable[[Results[R, Out]], str],
    corner: str = "",
) -> Table:
    """A table whose cells show the runs of their row and column."""
    shown = Table(corner, title=title)
    for name in columns:
        shown.add_column(name, justify="right")
    for name, settings in rows.items():
        shown.add_row(name, *(show(results.where(**settings, **column)) for column in columns.values()))
    return shown


def draw_line(axes: Axes, index: int, points: Iterable[tuple[float, float]], label: str) -> None:
    x, y = zip(*points, strict=True)
    axes.plot(x, y, label=label, **{**style(index, len(x)), "markevery": 1})


def side_by_side(train: Callable[[R], Out], runs: Sequence[R], workers: int, name: str) -> Results[R, Out]:
    """Train every run, `workers` at a time, one thread each."""
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        found = list(track(pool.map(train, runs), name, total=len(runs), console=Console(stderr=True)))
    return Results(zip(runs, found, strict=True))
