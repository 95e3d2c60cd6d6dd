"""The filter norm at which AWS, or weight decay, balances the gradient.

A step of plain SGD at rate eta with a gradient g orthogonal to w moves ||w||^2 by eta^2 ||g||^2, the shrink by minus
2 eta alpha m(w) ||w||^2 (AWS paper, eq. 20-21, m(w) = ||w|| / sqrt(n) for WS) or 2 eta lambda ||w||^2. With
G = ||w|| ||g||, which the scale of w does not change (eq. 11), they balance where

    ||w||^5 = sqrt(n) eta G^2 / (2 alpha)        under AWS
    ||w||^4 = eta G^2 / (2 lambda)               under weight decay

So ||w|| is proportional to alpha^(-1/5) and lambda^(-1/4) while G stays the same. G is measured too. It changes with
the strength, because a larger effective rate leads to another net.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor

from normreg_plugins import AdaptiveWeightShrink, attach
from normreg_plugins.layers import WSConv2d
from research.digits import training
from research.nets import conv_weights, digits_net, filter_norms, two_groups
from research.tables import study
from research.tables.study import Axis, Study, grid, mean_and_error

RATE, RANDOM_LABELS = 0.3, 0.3
EXPONENTS = {"AWS": 1 / 5, "WD": 1 / 4}
STRENGTHS = {"AWS": (0.03, 0.1, 0.3, 1.0, 3.0), "WD": (0.003, 0.01, 0.03, 0.1, 0.3)}
SETTINGS: Axis = {
    f"{method} {strength:g}": {"method": method, "strength": strength}
    for method, strengths in STRENGTHS.items()
    for strength in strengths
}


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str
    strength: float


@dataclass(frozen=True)
class Outcome:
    """Geometric means over the filters."""

    norm: float
    predicted: float
    """The norm that the equation gives for the measured G."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net(conv=WSConv2d)
    weights = conv_weights(model)
    decay = run.strength if run.method == "WD" else 0.0
    optimizer = torch.optim.SGD(two_groups(model, weights, {"lr": RATE, "weight_decay": decay}, {"lr": 0.1}))
    norms: list[Tensor] = []
    pulls: list[Tensor] = []  # G^2

    def measure(*_: object) -> None:
        norms.append(filter_norms(weights))
        pulls.append((norms[-1] * filter_norms([w.grad for w in weights if w.grad is not None])) ** 2)

    optimizer.register_step_pre_hook(measure)  # before AWS shrinks
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    for _ in training(model, optimizer, run.seed, run.updates, random_labels=RANDOM_LABELS):
        pass
    settled = slice(run.updates // 2, None)
    entries = torch.cat([torch.full((len(w),), float(w[0].numel())) for w in weights])
    balance = RATE * torch.stack(pulls[settled]).mean(0) / (2 * run.strength)
    predicted = (balance * (entries.sqrt() if run.method == "AWS" else 1.0)) ** EXPONENTS[run.method]
    return Outcome(*(each.log().mean().exp().item() for each in (torch.stack(norms[settled]), predicted)))


def table(results: Results) -> Table:
    shown = Table("", title="||w|| at equilibrium goes with strength^-p")
    for column in ("p by theory", "p measured, by seed", "norm / predicted"):
        shown.add_column(column, justify="right")
    for method, theory in EXPONENTS.items():
        mine = results.where(method=method)
        powers = mine.powers(lambda run, _: 1 / run.strength, lambda outcome: outcome.norm)
        ratios = [outcome.norm / outcome.predicted for outcome in mine.values()]
        shown.add_row(method, f"{theory:.3f}", mean_and_error(powers, 3), mean_and_error(ratios, 3))
    return shown


STUDY = Study(800, grid(Run, SETTINGS), train, table)
