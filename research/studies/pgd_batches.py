"""Small batches, where the statistics of batch norm are inexact (constrained paper, Table 2)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from matplotlib.axes import Axes
from rich.table import Table

from research.results import mean_and_error
from research.studies import pgd_training
from research.studies.pgd_training import Setting

RATE, BATCH = 0.1, 32
SIZES = (32, 4, 2)
METHODS = {"PGD": Setting(centre=True, sphere=True), "batch norm": Setting(batch_norm=True)}


@dataclass(frozen=True)
class Run:
    net: str
    method: str
    batch: int
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    accuracy: float


def runs(seeds: int, updates: int) -> list[Run]:
    """All runs see equally many images, so a run with batch 2 has 16 times the updates of a run with batch 32."""
    settings = itertools.product(pgd_training.NETS, METHODS, SIZES, range(seeds))
    return [Run(net, method, size, seed, updates * BATCH // size) for net, method, size, seed in settings]


def train(run: Run) -> Outcome:
    """Train with a rate proportional to the batch, the linear scaling rule of the paper (section 4.1.3)."""
    rate = RATE * run.batch / BATCH
    return Outcome(pgd_training.train(run.net, METHODS[run.method], rate, run.batch, run.updates, run.seed))


Results = dict[Run, Outcome]


def accuracies(results: Results, net: str, method: str, size: int) -> list[float]:
    return [o.accuracy for r, o in results.items() if (r.net, r.method, r.batch) == (net, method, size)]


def table(results: Results) -> Table:
    shown = Table("", title="test accuracy % by batch size, the same number of images each")
    for size in SIZES:
        shown.add_column(f"B = {size}", justify="right")
    for net, method in itertools.product(pgd_training.NETS, METHODS):
        shown.add_row(f"{net}, {method}", *(mean_and_error(accuracies(results, net, method, size)) for size in SIZES))
    return shown


def draw(results: Results, axes: Axes) -> None:
    colours = dict(zip(METHODS, ("#2e86c1", "#d35400"), strict=True))
    markers = dict(zip(pgd_training.NETS, "os", strict=True))
    for net, method in itertools.product(pgd_training.NETS, METHODS):
        points = [(size, found) for size in SIZES for found in accuracies(results, net, method, size)]
        style = {"color": colours[method], "marker": markers[net], "label": f"{net}, {method}"}
        axes.semilogx(*zip(*points, strict=True), base=2, linestyle="", alpha=0.6, **style)
    axes.set(xlabel="batch size", ylabel="test accuracy %", title="small batches")
    axes.legend()
