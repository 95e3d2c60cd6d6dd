"""The net and the training of the L2 paper's experiments, smaller: convolutions with batch norm on digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from research.studies.common import batches, parameters_besides

BATCH = 32
NOISY = 0.3
"""The fraction of labels that are random in each batch. On clean digits the gradient vanishes, so nothing balances."""
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


def bn_net() -> nn.Sequential:
    """Two convolutions, each with batch norm behind it, and a classifier."""

    def block(channels: int, filters: int) -> list[nn.Module]:
        return [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]

    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*block(1, 8), nn.MaxPool2d(2), *block(8, 16), *pool, nn.Linear(16, 10))


def filters(model: nn.Sequential) -> list[Tensor]:
    return [module.weight for module in model if isinstance(module, nn.Conv2d)]


def training(
    optimizer: str, rate: float, decay: float, updates: int, seed: int
) -> Iterator[tuple[int, list[Tensor], float]]:
    """Train with this rate and weight decay on the convolutions.

    Yields after each update its number, the weights of the convolutions and the loss.
    """
    torch.manual_seed(seed)
    model = bn_net()
    weights = filters(model)
    others = {"params": parameters_besides(model, weights), "lr": OTHERS_RATE[optimizer], "weight_decay": 0.0}
    made = OPTIMIZERS[optimizer]([{"params": weights, "lr": rate, "weight_decay": decay}, others])
    for update, (images, labels) in enumerate(batches(seed, BATCH, updates), start=1):
        drawn = torch.randint(10, labels.shape)
        noisy = torch.where(torch.rand(labels.shape) < NOISY, drawn, labels)
        made.zero_grad()
        loss = nn.functional.cross_entropy(model(images), noisy)
        loss.backward()
        made.step()
        yield update, weights, loss.item()
