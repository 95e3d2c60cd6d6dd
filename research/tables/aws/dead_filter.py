"""How long a filter without a gradient lasts under weight decay, at the paper's own rates (AWS paper, Table 1).

Eq. 25 divides a filter by its standard deviation. Without a gradient, weight decay shrinks the filter until that
deviation is 0 in float32, and the division gives NaN. The paper trains ImageNet for 100 epochs of 5,005 updates, with
SGD with momentum from rate 0.1, divided by 10 in every 30th epoch, and Adam at 0.001. Here a few such filters are
trained alone for as long, which takes seconds; SGD also at the constant rate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from research.nets import filter_norms
from research.tables.study import Row, run, table, where

UPDATES = 500_500
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD from 0.1": partial(SGD, lr=0.1, momentum=0.9),
    "SGD, constant 0.1": partial(SGD, lr=0.1, momentum=0.9),
    "Adam, constant 0.001": partial(Adam, lr=1e-3),
}
DROPS = {"SGD from 0.1": (0.3, 0.6, 0.9)}
"""Where the rate is divided by 10, as parts of the run."""
DECAYS = (1e-2, 1e-3, 1e-4, 1e-5)
FILTERS, ENTRIES = 4, 64 * 9
LOOKS = 200
"""How often a run looks at its filters."""


def train(optimizer: str, decay: float, seed: int, updates: int) -> Row:
    """The first update looked at where eq. 25 gives a NaN or Inf, or None; and the mean filter norm at the end."""
    torch.manual_seed(seed)
    weight = nn.Parameter(torch.randn(FILTERS, ENTRIES) / ENTRIES**0.5)
    weight.grad = torch.zeros_like(weight)
    stepped = OPTIMIZERS[optimizer]([weight], weight_decay=decay)
    drops = [round(part * updates) for part in DROPS.get(optimizer, ())]
    every = max(1, updates // LOOKS)
    failed_by = None
    for update in range(1, updates + 1):
        stepped.step()
        if update in drops:
            stepped.param_groups[0]["lr"] /= 10
        if update % every == 0 and not standardized(weight.detach()).isfinite().all():
            failed_by = update
            break
    return {"failed_by": failed_by, "norm": filter_norms([weight.double()]).mean().item()}


def standardized(weight: Tensor) -> Tensor:
    """Eq. 25, without anything to guard the division."""
    centred = weight - weight.mean(1, keepdim=True)
    return centred / centred.square().mean(1, keepdim=True).sqrt()


def show(rows: list[Row]) -> str:
    def cell(mine: list[Row]) -> str:
        failed = [row["failed_by"] for row in mine if row["failed_by"] is not None]
        return f"by update {min(failed):,}" if failed else f"never; norm {min(row['norm'] for row in mine):.1e}"

    body = [[f"{d:g}", *(cell(where(rows, optimizer=name, decay=d)) for name in OPTIMIZERS)] for d in DECAYS]
    return table(["weight decay", *OPTIMIZERS], body)


if __name__ == "__main__":
    settings = [{"optimizer": name, "decay": decay} for name in OPTIMIZERS for decay in DECAYS]
    sys.exit(run(__doc__, "aws_dead_filter", UPDATES, settings, train, show))
