"""The filter norm at equilibrium under each optimizer (L2 paper, Table 1 and Sections 4, 5).

At equilibrium ||w|| ~ (eta / lambda)^p, with p = 1/4 under SGD, momentum and Nesterov, 1/3 under RMSprop and Adam, and
1/2 under AdamW, which the paper leaves out. All settings of an optimizer have the same effective rate by its law. So
the nets differ in the norm of their filters only, and the measured slope is p alone. They are two convolutions with
batch norm on digits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.optim import SGD, Adam, AdamW, RMSprop

from research import digits
from research.nets import conv_weights, digits_net, filter_norms, two_groups
from research.tables.l2.laws import LAWS
from research.tables.study import Row, mean_and_error, powers, run, table, where

RANDOM_LABELS = 0.3
OTHERS_RATE = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3}
"""The rate of all parameters that are not scale invariant. It is the same in all runs, so that only ||w|| differs."""
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
MIDDLES = {"sgd": (0.3, 0.1), "momentum": (0.03, 0.1), "nesterov": (0.03, 0.1)}
MIDDLES |= {"rmsprop": (0.02, 0.02), "adam": (0.02, 0.02), "adamw": (0.02, 1.0)}
"""Rate and weight decay of the convolutions in the middle of each optimizer's line."""


def setting(optimizer: str, factor: float) -> dict[str, float | str]:
    """Rate and decay on the line where the effective rate of the law stays: eta^a lambda^b."""
    rate, decay = MIDDLES[optimizer]
    rate_power, decay_power = LAWS[optimizer].equilibrium_exponents()
    return {"optimizer": optimizer, "rate": rate * factor, "decay": decay * factor ** (-rate_power / decay_power)}


def train(optimizer: str, rate: float, decay: float, seed: int, updates: int) -> Row:
    """The geometric mean of the norm over filters and the second half of the updates."""
    torch.manual_seed(seed)
    model = digits_net()
    weights = conv_weights(model)
    others = {"lr": OTHERS_RATE[optimizer], "weight_decay": 0.0}
    stepped = OPTIMIZERS[optimizer](two_groups(model, weights, {"lr": rate, "weight_decay": decay}, others), lr=rate)
    logs = []
    for update, _ in digits.training(model, stepped, seed, updates, random_labels=RANDOM_LABELS):
        if update > updates // 2:
            logs.append(filter_norms(weights).log().mean().item())
    return {"norm": float(np.exp(np.mean(logs)))}


def show(rows: list[Row]) -> str:
    """p in ||w|| ~ (eta / lambda)^p."""
    body = []
    for name in MIDDLES:
        measured = powers(where(rows, optimizer=name), lambda row: row["rate"] / row["decay"], lambda row: row["norm"])
        body.append([name, f"{LAWS[name].norm_exponent:.3f}", mean_and_error(measured)])
    return table(["optimizer", "p by Table 1", "p measured, by seed"], body)


if __name__ == "__main__":
    settings = [setting(name, factor) for name in MIDDLES for factor in (0.25, 1.0, 4.0)]
    sys.exit(run(__doc__, "l2_equilibrium", 1000, settings, train, show))
