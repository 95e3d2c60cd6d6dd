"""The training of the L2 paper's experiments, smaller: two convolutions with batch norm on digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from research import digits
from research.nets import conv_weights, digits_net, two_groups
from research.tables import study

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
