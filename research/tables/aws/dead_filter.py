"""How long a filter without a gradient lasts under weight decay, at the paper's own rates (AWS paper, Table 1).

Eq. 25 divides a filter by its standard deviation. Without a gradient, weight decay shrinks the filter until that
deviation is 0 in float32, and the division gives NaN. The paper trains ImageNet for 450,000 updates, with SGD with
momentum at rate 0.1 and Adam at 0.001. Here a few such filters are trained alone for as long, at constant rates, which
takes seconds. The paper lowers its rates on the way, so its filters last longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor, nn

from research.nets import filter_norms
from research.tables import study
from research.tables.study import Study, axis, cross_table, grid

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD, rate 0.1": lambda weights, decay: torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=decay),
    "Adam, rate 0.001": lambda weights, decay: torch.optim.Adam(weights, 1e-3, weight_decay=decay),
}
NAMES, DECAYS = axis("optimizer", OPTIMIZERS), axis("decay", (1e-2, 1e-3, 1e-4, 1e-5), "{:g}")
FILTERS, ENTRIES = 4, 64 * 9
LOOKS = 200
"""How often a run looks at its filters."""


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    optimizer: str
    decay: float


@dataclass(frozen=True)
class Outcome:
    failed_by: int | None
    """The first update looked at where eq. 25 gives a NaN or Inf; None if there was none."""
    norm: float
    """The mean filter norm at the end."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    weight = nn.Parameter(torch.randn(FILTERS, ENTRIES) / ENTRIES**0.5)
    weight.grad = torch.zeros_like(weight)
    optimizer = OPTIMIZERS[run.optimizer]([weight], run.decay)
    every = max(1, run.updates // LOOKS)
    failed_by = None
    for update in range(1, run.updates + 1):
        optimizer.step()
        if update % every == 0 and not standardized(weight.detach()).isfinite().all():
            failed_by = update
            break
    return Outcome(failed_by, filter_norms([weight.double()]).mean().item())


def standardized(weight: Tensor) -> Tensor:
    """Eq. 25, without anything to guard the division."""
    centred = weight - weight.mean(1, keepdim=True)
    return centred / centred.square().mean(1, keepdim=True).sqrt()


def _cell(results: Results) -> str:
    failed = [update for update in results.each("failed_by") if update is not None]
    return f"by update {min(failed):,}" if failed else f"never; norm {min(results.each('norm')):.1e}"


def table(results: Results) -> Table:
    title = f"when eq. 25 leaves float32, within {next(iter(results)).updates:,} updates without a gradient"
    return cross_table(title, results, DECAYS, NAMES, _cell, corner="weight decay")


STUDY = Study(450_000, grid(Run, NAMES, DECAYS), train, table)
