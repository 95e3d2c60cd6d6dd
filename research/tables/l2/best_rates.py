"""How the best learning rate goes with weight decay (L2 paper, Section 6, Fig. 1 and 4).

The best effective rate is a property of the task. So the best rate goes with 1 / lambda under SGD and with
1 / sqrt(lambda) under Adam. The laws are for the equilibrium, which takes about 1 / (eta lambda) updates under SGD. All
runs begin with torch's own initial weights and have to reach that equilibrium themselves. Near the best rate eta lambda
is the same for all lambda, so they need equally long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from rich.table import Table

from research.tables import study
from research.tables.l2.laws import LAWS
from research.tables.l2.training import Run, training
from research.tables.study import Axis, Study, draw_line, grid, mean_and_error

DECAYS = {"sgd": (0.02, 0.08, 0.32), "adam": (0.001, 0.016, 0.256)}
"""By the laws, the best rate changes by a factor of 4 from one decay to the next."""
RATES = {"sgd": tuple(0.004 * 4**k for k in range(7)), "adam": tuple(6e-5 * 4**k for k in range(7))}
LINES: Axis = {f"{n}, decay {d:g}": {"optimizer": n, "decay": d} for n, decays in DECAYS.items() for d in decays}
SETTINGS: Axis = {
    f"{line}, rate {rate:g}": {**settings, "rate": rate}
    for line, settings in LINES.items()
    for rate in RATES[settings["optimizer"]]
}


@dataclass(frozen=True)
class Outcome:
    loss: float
    """The mean over the last quarter of the updates; inf if training diverged."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    mean = float(np.mean([loss for update, _, loss in training(run) if update > 0.75 * run.updates]))
    return Outcome(mean if math.isfinite(mean) else math.inf)


def best_rate(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The least point of a parabola over log rate, through the least loss and its neighbours; NaN at the grid's end."""
    x, y = np.log(rates), np.asarray(losses)
    least = int(np.argmin(y))
    if least in (0, len(y) - 1):
        return math.nan
    near = slice(least - 1, least + 2)
    if not np.isfinite(y[near]).all():
        return float(rates[least])
    square, linear, _ = np.polyfit(x[near] - x[least], y[near], 2)
    return float(np.exp(x[least] - linear / (2 * square)))


def best_rates(results: Results, optimizer: str) -> list[list[float]]:
    """For each seed, the best rate at each decay."""

    def of(seed: int, decay: float) -> float:
        mine = results.where(optimizer=optimizer, seed=seed, decay=decay)
        return best_rate(RATES[optimizer], [mine.where(rate=rate).each("loss")[0] for rate in RATES[optimizer]])

    return [[of(seed, decay) for decay in DECAYS[optimizer]] for seed in sorted({run.seed for run in results})]


def exponents(results: Results, optimizer: str) -> list[float]:
    """c in best rate ~ lambda^c, by seed; NaN where a best rate lies outside of the grid."""
    log_decays = np.log(DECAYS[optimizer])
    return [float(np.polyfit(log_decays, np.log(rates), 1)[0]) for rates in best_rates(results, optimizer)]


def table(results: Results) -> Table:
    shown = Table("optimizer", title="the best rate goes with lambda^c")
    for column in ("c by the law", "c measured, by seed", "best rate at each decay"):
        shown.add_column(column, justify="right")
    for name, decays in DECAYS.items():
        means = np.mean(best_rates(results, name), axis=0)
        rates = ", ".join(f"{rate:.3g} at {decay:g}" for decay, rate in zip(decays, means, strict=True))
        shown.add_row(
            name, f"{LAWS[name].best_rate_exponent():.2f}", mean_and_error(exponents(results, name), 2), rates
        )
    return shown


def draw(results: Results, axes: Axes) -> None:
    for index, (line, settings) in enumerate(LINES.items()):
        mine = results.where(**settings)
        rates = RATES[settings["optimizer"]]
        draw_line(axes, index, [(rate, float(np.mean(mine.where(rate=rate).each("loss")))) for rate in rates], line)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss at the end", title="best rate over weight decay")
    axes.legend(fontsize=7)


STUDY = Study(1000, grid(Run, SETTINGS), train, table, draw)
