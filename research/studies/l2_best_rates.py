"""How the best learning rate goes with weight decay (L2 paper, Section 6, Fig. 1 and 4).

The best effective rate is a property of the task. So the best rate goes with 1 / lambda under SGD and with
1 / sqrt(lambda) under Adam. The laws hold at equilibrium, which takes about 1 / (eta lambda) updates under SGD. All
runs begin with torch's own initial weights and have to find that equilibrium themselves. Near the best rate eta lambda
is the same for all lambda, so they need equally long.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from rich.table import Table

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.plots import style
from research.filters.effective_rates import LAWS
from research.filters.rate_study import BestRates, measure_best_rates
from research.studies import l2_nets

DECAYS = {"sgd": (0.02, 0.08, 0.32), "adam": (0.001, 0.016, 0.256)}
"""By the laws, the best rate changes by a factor of 4 from one decay to the next."""
RATES = {"sgd": tuple(0.004 * 4**k for k in range(7)), "adam": tuple(6e-5 * 4**k for k in range(7))}


@dataclass(frozen=True)
class Run:
    optimizer: str
    rate: float
    decay: float
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    loss: float
    """The mean over the last quarter of the updates; inf if training broke down."""


def runs(seeds: int, updates: int) -> list[Run]:
    """All rates with all decays."""
    return [
        Run(optimizer, rate, decay, seed, updates)
        for optimizer, decays in DECAYS.items()
        for rate, decay, seed in itertools.product(RATES[optimizer], decays, range(seeds))
    ]


def train(run: Run) -> Outcome:
    steps = l2_nets.training(run.optimizer, run.rate, run.decay, run.updates, run.seed)
    mean = float(np.mean([loss for update, _, loss in steps if update > 0.75 * run.updates]))
    return Outcome(mean if math.isfinite(mean) else math.inf)


Results = dict[Run, Outcome]


def best(results: Results, optimizer: str) -> BestRates | None:
    """None where the best rate lies at the end of the grid."""
    losses: dict[tuple[float, float], list[float]] = {}
    for run, outcome in results.items():
        if run.optimizer == optimizer:
            losses.setdefault((run.rate, run.decay), []).append(outcome.loss)
    try:
        return measure_best_rates(losses)
    except NormRegError:
        return None


def table(results: Results) -> Table:
    shown = Table("optimizer", title="the best rate goes with lambda^c")
    for column in ("c by the law", "c measured", "best rate at each decay"):
        shown.add_column(column, justify="right")
    for name in DECAYS:
        found, law = best(results, name), f"{LAWS[name].best_rate_exponent():.2f}"
        if found is None:
            shown.add_row(name, law, "the grid has no best rate inside", "")
            continue
        rates = ", ".join(f"{rate:.3g} at {decay:g}" for decay, rate in zip(found.decays, found.rates, strict=True))
        shown.add_row(name, law, f"{found.exponent:.2f} ± {found.error:.2f}", rates)
    return shown


def draw(results: Results, axes: Axes) -> None:
    lines = [(name, decay) for name, decays in DECAYS.items() for decay in decays]
    for index, (name, decay) in enumerate(lines):
        mine = [(r.rate, o.loss) for r, o in results.items() if (r.optimizer, r.decay) == (name, decay)]
        rates = sorted({rate for rate, _ in mine})
        means = [np.mean([loss for rate, loss in mine if rate == each]) for each in rates]
        axes.plot(rates, means, label=f"{name}, decay {decay:g}", **{**style(index, len(rates)), "markevery": 1})
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss at the end", title="best rate over weight decay")
    axes.legend(fontsize=7)
