"""What all studies share: a list of runs, one training each, then a table, a picture and the raw numbers.

A study is a module with its equation, its settings (a subclass of `Run`), what it measures (an outcome), and a `Study`.
Rows, columns and the list of runs are made from the same axes:

    METHODS = axis("method", ("WD", "WRS"))          # {"WD": {"method": "WD"}, "WRS": {"method": "WRS"}}
    SIZES = axis("batch", (32, 4), "B = {}")
    STUDY = Study(updates=250, runs=grid(Run, METHODS, SIZES), train=train, table=table, draw=draw)
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table

from normreg_plugins.files import atomic_path, write_json
from normreg_plugins.plots import OKABE_ITO, style

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
        summary: what to save besides each run.
    """

    updates: int
    runs: Callable[[int, int], Sequence[R]]
    train: Callable[[R], Out]
    table: Callable[[Results[R, Out]], Table]
    draw: Callable[[Results[R, Out], Axes], None]
    summary: Callable[[Results[R, Out]], Any] | None = None


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


def accuracy_of(results: Results[Any, Any]) -> str:
    return mean_and_error(results.each("accuracy"))


def cross_table(
    title: str,
    results: Results[R, Out],
    rows: Axis,
    columns: Axis,
    show: Callable[[Results[R, Out]], str] = accuracy_of,
    corner: str = "",
) -> Table:
    """A table whose cells show the runs of their row and column."""
    shown = Table(corner, title=title)
    for name in columns:
        shown.add_column(name, justify="right")
    for name, settings in rows.items():
        shown.add_row(name, *(show(results.where(**settings, **column)) for column in columns.values()))
    return shown


def draw_dots(axes: Axes, results: Results[R, Out], places: Axis, series: Axis, field: str = "accuracy") -> None:
    """A dot for each run, and a stroke for the mean: places along the x axis, a colour for each series."""
    for index, (label, settings) in enumerate(series.items()):
        colour, shift = OKABE_ITO[index], 0.2 * (index - (len(series) - 1) / 2)
        for place, more in enumerate(places.values()):
            values = results.where(**settings, **more).each(field)
            axes.scatter(
                [place + shift] * len(values), values, color=colour, alpha=0.7, label=label if not place else None
            )
            if values:
                axes.plot([place + shift - 0.07, place + shift + 0.07], [statistics.mean(values)] * 2, color="black")
    axes.set_xticks(range(len(places)), list(places))
    axes.legend(fontsize=8)


def draw_line(axes: Axes, index: int, points: Iterable[tuple[float, float]], label: str) -> None:
    x, y = zip(*points, strict=True)
    axes.plot(x, y, label=label, **{**style(index, len(x)), "markevery": 1})


def side_by_side(train: Callable[[R], Out], runs: Sequence[R], workers: int, name: str) -> Results[R, Out]:
    """Train every run, `workers` at a time, one thread each."""
    progress = Console(stderr=True)
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        found = [train(run) for run in track(runs, name, console=progress)]
        torch.set_num_threads(threads)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            found = list(track(pool.map(train, runs), name, total=len(runs), console=progress))
    return Results(zip(runs, found, strict=True))


def main_of(paper: str, description: str | None, studies: Mapping[str, Study], argv: Sequence[str] | None) -> int:
    """The command of a paper: train, print the tables, draw one picture, save all numbers."""
    args = parse_args(paper, description, studies, argv)
    figure = Figure(figsize=(6 * len(args.studies), 5), layout="constrained")
    panels = figure.subplots(1, len(args.studies), squeeze=False)[0]
    console = Console()
    numbers: dict[str, Any] = {}
    for name, axes in zip(args.studies, panels, strict=True):
        study = studies[name]
        runs = study.runs(args.seeds, max(1, round(study.updates * args.length)))
        results = side_by_side(study.train, runs, args.workers, name)
        console.print(study.table(results))
        study.draw(results, axes)
        numbers[name] = {"runs": [{**asdict(run), **asdict(outcome)} for run, outcome in results.items()]}
        if study.summary:
            numbers[name]["summary"] = study.summary(results)
    with atomic_path(args.out / f"{paper}.png") as unfinished:
        figure.savefig(unfinished, dpi=110)
    write_json(args.out / f"{paper}.json", numbers)
    console.print(f"picture and numbers: {args.out / paper}.png, .json", soft_wrap=True)
    return 0


def parse_args(
    paper: str, description: str | None, studies: Mapping[str, Study], argv: Sequence[str] | None
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        f"python -m research.tables.{paper}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("studies", nargs="*", default=[*studies], help=f"which ones, of {', '.join(studies)}")
    add("--seeds", type=int, default=3, help="trainings of each setting")
    add("--length", type=float, default=1.0, help="0.5: half as many updates")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="trainings at a time, a thread each")
    add("--out", type=Path, default=Path("work_dirs/tables"), help="folder for the picture and the numbers")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.studies if name not in studies]:
        parser.error(f"unknown study {', '.join(unknown)}: choose from {', '.join(studies)}")
    for option in ("seeds", "workers", "length"):
        if not getattr(args, option) > 0:
            parser.error(f"--{option} {getattr(args, option)}: must be above 0")
    return args
