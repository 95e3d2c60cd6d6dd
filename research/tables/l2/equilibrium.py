"""The filter norm at equilibrium under each optimizer (L2 paper, Table 1 and Sections 4, 5).

At equilibrium ||w|| ~ (eta / lambda)^p, with p = 1/4 under SGD, momentum and Nesterov, 1/3 under RMSprop and Adam, and
1/2 under AdamW, which the paper leaves out. All settings of an optimizer have the same effective rate by its law. So
the nets differ in the norm of their filters only, and the measured slope is p alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.table import Table

from research.nets import filter_norms
from research.tables import study
from research.tables.l2.laws import LAWS
from research.tables.l2.training import Run, training
from research.tables.study import Axis, Study, grid, mean_and_error

MIDDLES = {"sgd": (0.3, 0.1), "momentum": (0.03, 0.1), "nesterov": (0.03, 0.1)}
MIDDLES |= {"rmsprop": (0.02, 0.02), "adam": (0.02, 0.02), "adamw": (0.02, 1.0)}
"""Rate and weight decay in the middle of each optimizer's line."""
FACTORS = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class Outcome:
    norm: float
    """The geometric mean over filters and the second half of the updates."""


Results = study.Results[Run, Outcome]


def _setting(optimizer: str, factor: float) -> dict[str, float | str]:
    """Rate and decay on the line where the effective rate of the law stays: eta^a lambda^b."""
    rate, decay = MIDDLES[optimizer]
    rate_power, decay_power = LAWS[optimizer].equilibrium_exponents()
    decay *= factor ** (-rate_power / decay_power)
    return {"optimizer": optimizer, "rate": rate * factor, "decay": decay}


SETTINGS: Axis = {f"{name}, {factor:g}": _setting(name, factor) for name in MIDDLES for factor in FACTORS}


def train(run: Run) -> Outcome:
    logs = [
        filter_norms(weights).log().mean().item() for update, weights, _ in training(run) if update > run.updates // 2
    ]
    return Outcome(float(np.exp(np.mean(logs))))


def exponents(results: Results, optimizer: str) -> list[float]:
    """p in ||w|| ~ (eta / lambda)^p, by seed."""
    return results.where(optimizer=optimizer).powers(lambda run, _: run.rate / run.decay, lambda o: o.norm)


def table(results: Results) -> Table:
    shown = Table("optimizer", title="||w|| at equilibrium goes with (eta / lambda)^p")
    for column in ("p by Table 1", "p measured, by seed"):
        shown.add_column(column, justify="right")
    for name in MIDDLES:
        shown.add_row(name, f"{LAWS[name].norm_exponent:.3f}", mean_and_error(exponents(results, name), 3))
    return shown


STUDY = Study(1000, grid(Run, SETTINGS), train, table)
