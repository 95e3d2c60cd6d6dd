"""The filter norm at which AWS, or weight decay, balances the gradient.

A step of plain SGD at rate eta with a gradient g orthogonal to w moves ||w||^2 by eta^2 ||g||^2, the shrink by minus
2 eta alpha m(w) ||w||^2 (AWS paper, eq. 20-21, m(w) = ||w|| / sqrt(n) for WS) or 2 eta lambda ||w||^2. With
G = ||w|| ||g||, which the scale of w does not change (eq. 11), they balance where

    ||w||^5 = sqrt(n) eta G^2 / (2 alpha)        under AWS
    ||w||^4 = eta G^2 / (2 lambda)               under weight decay

So ||w|| is proportional to (eta / alpha)^(1/5) and (eta / lambda)^(1/4) while G stays the same. G is measured too. It
changes with the settings, because a larger effective rate leads to another net.
"""

from __future__ import annotations

from collections.abc import Sequence
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

RANDOM_LABELS = 0.3
EXPONENTS = {"AWS": 1 / 5, "WD": 1 / 4}
STRENGTHS = {"AWS": (0.03, 0.1, 0.3, 1.0, 3.0), "WD": (0.003, 0.01, 0.03, 0.1, 0.3)}
RATES, MIDDLE_RATE = (0.1, 0.2, 0.4, 0.8), 0.3
LINES: Axis = {
    f"{method}, {varied} varied": {"method": method, "varied": varied}
    for method in EXPONENTS
    for varied in ("strength", "rate")
}


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str
    varied: str
    rate: float
    strength: float


@dataclass(frozen=True)
class Outcome:
    """Geometric means over the filters."""

    norm: float
    pull: float
    """G^2."""
    predicted: float
    """The norm that the equation gives for this G."""


Results = study.Results[Run, Outcome]


def _settings() -> Axis:
    """For each method: several strengths at one rate, and several rates at one strength."""
    points: dict[str, dict[str, object]] = {}
    for name, line in LINES.items():
        strengths = STRENGTHS[line["method"]]
        varied = (
            [(MIDDLE_RATE, strength) for strength in strengths]
            if line["varied"] == "strength"
            else [(rate, strengths[2]) for rate in RATES]
        )
        points |= {f"{name}: {rate:g}, {s:g}": {**line, "rate": rate, "strength": s} for rate, s in varied}
    return points


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net(conv=WSConv2d)
    weights = conv_weights(model)
    decay = run.strength if run.method == "WD" else 0.0
    # The rate of the others is the same in all runs, so that only ||w|| differs.
    optimizer = torch.optim.SGD(two_groups(model, weights, {"lr": run.rate, "weight_decay": decay}, {"lr": 0.1}))
    seen: list[tuple[Tensor, Tensor]] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(_norms_and_pulls(weights)))  # before AWS shrinks
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    for _ in training(model, optimizer, run.seed, run.updates, random_labels=RANDOM_LABELS):
        pass
    return _outcome(run, seen[run.updates // 2 :], weights)


@torch.no_grad()
def _norms_and_pulls(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """||w|| and G^2 = ||w||^2 ||g||^2 of every filter."""
    norms = filter_norms(weights)
    return norms, (norms * filter_norms([w.grad for w in weights if w.grad is not None])) ** 2


def _outcome(run: Run, seen: Sequence[tuple[Tensor, Tensor]], weights: Sequence[Tensor]) -> Outcome:
    norms, pulls = (torch.stack(each) for each in zip(*seen, strict=True))
    pull = pulls.mean(0)
    entries = torch.cat([torch.full((len(w),), float(w[0].numel())) for w in weights])
    balance = run.rate * pull / (2 * run.strength) * (entries.sqrt() if run.method == "AWS" else 1.0)
    predicted = balance ** EXPONENTS[run.method]
    return Outcome(*(each.log().mean().exp().item() for each in (norms, pull, predicted)))


def table(results: Results) -> Table:
    shown = Table("", title="||w|| at equilibrium goes with (eta / strength)^p")
    for column in ("theory", "p", "p for eta G^2", "norm / predicted"):
        shown.add_column(column, justify="right")
    for name, line in LINES.items():
        mine = results.where(**line)
        powers = mine.powers(lambda run, _: run.rate / run.strength, lambda o: o.norm)
        powers_with_pull = mine.powers(lambda run, o: run.rate / run.strength * o.pull, lambda o: o.norm)
        ratios = [outcome.norm / outcome.predicted for outcome in mine.values()]
        shown.add_row(
            name,
            f"{EXPONENTS[line['method']]:.3f}",
            *(mean_and_error(values, 3) for values in (powers, powers_with_pull, ratios)),
        )
    return shown


STUDY = Study(800, grid(Run, _settings()), train, table)
