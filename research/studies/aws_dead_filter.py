"""How long a filter without a gradient lasts under weight decay, at the paper's own rates (AWS paper, Table 1).

Eq. 25 divides a filter by its standard deviation. Where no gradient comes, weight decay shrinks the filter until that
deviation is 0 in float32, and the division gives NaN. The paper trains ImageNet for 450,000 updates, with SGD with
momentum at rate 0.1 and Adam at 0.001. Here a few such filters are trained alone for as long, at constant rates, which
takes seconds. The paper lowers its rates on the way, so its filters last longer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import Tensor, nn

from normreg_plugins.plots import style

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD, rate 0.1": lambda weights, decay: torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=decay),
    "Adam, rate 0.001": lambda weights, decay: torch.optim.Adam(weights, 1e-3, weight_decay=decay),
}
DECAYS = (1e-2, 1e-3, 1e-4, 1e-5)
FILTERS, ENTRIES = 4, 64 * 9
LOOKS = 200
"""How often a run looks at its filters."""


@dataclass(frozen=True)
class Run:
    optimizer: str
    decay: float
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    updates: tuple[int, ...]
    norms: tuple[float, ...]
    """The mean filter norm at each of these updates."""
    failed_by: int | None
    """The first update looked at where eq. 25 gives a NaN or Inf; None if there was none."""


def runs(seeds: int, updates: int) -> list[Run]:
    made = itertools.product(OPTIMIZERS, DECAYS, range(seeds))
    return [Run(optimizer, decay, seed, updates) for optimizer, decay, seed in made]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    weight = nn.Parameter(torch.randn(FILTERS, ENTRIES) / ENTRIES**0.5)
    weight.grad = torch.zeros_like(weight)
    optimizer = OPTIMIZERS[run.optimizer]([weight], run.decay)
    every = max(1, run.updates // LOOKS)
    seen: dict[int, float] = {}
    for update in range(1, run.updates + 1):
        optimizer.step()
        if update % every == 0:
            seen[update] = weight.detach().double().norm(dim=1).mean().item()
            if not standardized(weight.detach()).isfinite().all():
                return Outcome(tuple(seen), tuple(seen.values()), failed_by=update)
    return Outcome(tuple(seen), tuple(seen.values()), failed_by=None)


def standardized(weight: Tensor) -> Tensor:
    """Eq. 25, with nothing to guard the division."""
    centred = weight - weight.mean(1, keepdim=True)
    return centred / centred.square().mean(1, keepdim=True).sqrt()


Results = dict[Run, Outcome]


def table(results: Results) -> Table:
    updates = next(iter(results)).updates
    shown = Table("weight decay", title=f"when eq. 25 leaves float32, within {updates:,} updates without a gradient")
    for name in OPTIMIZERS:
        shown.add_column(name, justify="right")
    for decay in DECAYS:
        cells = []
        for name in OPTIMIZERS:
            mine = [o for r, o in results.items() if (r.optimizer, r.decay) == (name, decay)]
            failed = [o.failed_by for o in mine if o.failed_by is not None]
            least = min(o.norms[-1] for o in mine)
            cells.append(f"by update {min(failed):,}" if failed else f"never; norm {least:.1e}")
        shown.add_row(f"{decay:g}", *cells)
    return shown


def draw(results: Results, axes: Axes) -> None:
    mine = [(run, outcome) for run, outcome in results.items() if run.seed == 0]
    for index, (run, outcome) in enumerate(mine):
        looks = style(index, len(outcome.updates))
        axes.loglog(outcome.updates, outcome.norms, label=f"{run.optimizer.split(',')[0]}, {run.decay:g}", **looks)
    axes.set(xlabel="update", ylabel="norm of a filter without a gradient", title="at the paper's own rates")
    axes.legend(fontsize=7)
