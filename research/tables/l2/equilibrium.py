"""The filter norm at equilibrium under each optimizer (L2 paper, Table 1 and Sections 4, 5).

At equilibrium ||w|| ~ (eta / lambda)^p, with p = 1/4 under SGD, momentum and Nesterov, 1/3 under RMSprop and Adam, and
1/2 under AdamW, which the paper leaves out. All settings of an optimizer have the same effective rate by its law. So
the nets differ in the norm of their filters only, and the measured slope is p alone. They are two convolutions with
batch norm on digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from research import digits
from research.nets import conv_weights, digits_net, filter_norms, two_groups
from research.tables import study
from research.tables.l2.laws import LAWS
from research.tables.study import Axis, Study, grid, mean_and_error

RANDOM_LABELS = 0.3
OTHERS_RATE = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3}
"""The rate of all parameters that are not scale invariant. It is the same in all runs, so that only ||w|| differs."""

Made = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Made] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
    "nesterov": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=1e-3),
    "adam": lambda groups: torch.optim.Adam(groups, lr=1e-3),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=1e-3),
}


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    optimizer: str
    rate: float
    decay: float
    """Rate and weight decay of the convolutions."""


def training(run: Run) -> Iterator[tuple[int, list[Tensor], float]]:
    """Yields after each update its number, the weights of the convolutions and the loss."""
    torch.manual_seed(run.seed)
    model = digits_net()
    weights = conv_weights(model)
    others = {"lr": OTHERS_RATE[run.optimizer], "weight_decay": 0.0}
    optimizer = OPTIMIZERS[run.optimizer](
        two_groups(model, weights, {"lr": run.rate, "weight_decay": run.decay}, others)
    )
    for update, loss in digits.training(model, optimizer, run.seed, run.updates, random_labels=RANDOM_LABELS):
        yield update, weights, loss.item()


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
