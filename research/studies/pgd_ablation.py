"""Centring, sphere and noise, each on and off (constrained paper, Table 3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from matplotlib.axes import Axes
from rich.table import Table

from research.results import mean_and_error
from research.studies import pgd_training
from research.studies.pgd_training import Setting

RATE, BATCH = 0.1, 32
SIGMAS = (0.0, 0.1)
"""The same sigma in all layers, because this net is not residual. The paper's net is, and has 0 and a linear 1.0."""
CONSTRAINTS = {"neither": (False, False), "centre": (True, False), "sphere": (False, True), "both": (True, True)}
BATCH_NORM = Setting(batch_norm=True)


@dataclass(frozen=True)
class Run:
    setting: Setting
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    accuracy: float


def runs(seeds: int, updates: int) -> list[Run]:
    grid = itertools.product(CONSTRAINTS.values(), SIGMAS)
    settings = [Setting(centre=c, sphere=s, sigma=sigma) for (c, s), sigma in grid]
    return [Run(setting, seed, updates) for setting in (*settings, BATCH_NORM) for seed in range(seeds)]


def train(run: Run) -> Outcome:
    return Outcome(pgd_training.train("CNN", run.setting, RATE, BATCH, run.updates, run.seed))


Results = dict[Run, Outcome]


def accuracies(results: Results, setting: Setting) -> list[float]:
    return [outcome.accuracy for run, outcome in results.items() if run.setting == setting]


def table(results: Results) -> Table:
    shown = Table("constraint", title="test accuracy %, no norm layer; noise of standard deviation sigma")
    for sigma in SIGMAS:
        shown.add_column(f"sigma {sigma:g}", justify="right")
    for name, (centre, sphere) in CONSTRAINTS.items():
        cells = [accuracies(results, Setting(centre=centre, sphere=sphere, sigma=sigma)) for sigma in SIGMAS]
        shown.add_row(name, *map(mean_and_error, cells))
    shown.add_section()
    shown.add_row("batch norm instead", mean_and_error(accuracies(results, BATCH_NORM)))
    return shown


def draw(results: Results, axes: Axes) -> None:
    for place, (name, (centre, sphere)) in enumerate(CONSTRAINTS.items()):
        for sigma, colour in zip(SIGMAS, ("#2e86c1", "#85c1e9"), strict=True):
            found = accuracies(results, Setting(centre=centre, sphere=sphere, sigma=sigma))
            label = f"sigma {sigma:g}" if name == "neither" else None
            axes.plot([place + sigma] * len(found), found, "o", color=colour, label=label)
    found = accuracies(results, BATCH_NORM)
    axes.plot([len(CONSTRAINTS)] * len(found), found, "s", color="#d35400")
    axes.set_xticks(range(len(CONSTRAINTS) + 1), [*CONSTRAINTS, "batch norm"])
    axes.set(ylabel="test accuracy %", title="centring x sphere x noise")
    axes.legend()
