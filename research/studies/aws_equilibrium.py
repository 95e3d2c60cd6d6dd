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

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import Tensor, nn

from normreg_plugins import AdaptiveWeightShrink, attach
from research.results import mean_and_error
from research.studies.common import batches, parameters_besides
from research.studies.nets import conv_weights, ws_net

BATCH = 32
NOISY = 0.3
"""The fraction of labels that are random in each batch. On clean digits the gradient vanishes, so nothing balances."""
EXPONENTS = {"AWS": 1 / 5, "WD": 1 / 4}
STRENGTHS = {"AWS": (0.03, 0.1, 0.3, 1.0, 3.0), "WD": (0.003, 0.01, 0.03, 0.1, 0.3)}
RATES = (0.1, 0.2, 0.4, 0.8)
AT_STRENGTH, AT_RATE = "strength", "rate"


@dataclass(frozen=True)
class Run:
    method: str
    varied: str
    rate: float
    strength: float
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    """Geometric means over the filters."""

    norm: float
    pull: float
    """G^2."""
    predicted: float
    """The norm that the equation gives for this G."""


def runs(seeds: int, updates: int) -> list[Run]:
    """For each method: several strengths at one rate, and several rates at one strength."""
    lines = [
        (method, varied, rate, strength)
        for method in EXPONENTS
        for varied, rates, strengths in (
            (AT_STRENGTH, (0.3,), STRENGTHS[method]),
            (AT_RATE, RATES, STRENGTHS[method][2:3]),
        )
        for rate, strength in itertools.product(rates, strengths)
    ]
    return [Run(*line, seed, updates) for line in lines for seed in range(seeds)]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = ws_net()
    weights = conv_weights(model)
    decay = run.strength if run.method == "WD" else 0.0
    groups = [
        {"params": weights, "lr": run.rate, "weight_decay": decay},
        {"params": parameters_besides(model, weights), "lr": 0.1},  # the same in all runs, so that only ||w|| differs
    ]
    optimizer = torch.optim.SGD(groups)
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    seen = []
    for update, (images, labels) in enumerate(batches(run.seed, BATCH, run.updates)):
        drawn = torch.randint(10, labels.shape)
        noisy = torch.where(torch.rand(labels.shape) < NOISY, drawn, labels)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), noisy).backward()
        if update >= run.updates // 2:
            seen.append(_norms_and_pulls(weights))
        optimizer.step()
    return _outcome(run, seen, weights)


@torch.no_grad()
def _norms_and_pulls(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """||w|| and G^2 = ||w||^2 ||g||^2 of every filter."""
    norms = torch.cat([w.flatten(1).norm(dim=1) for w in weights])
    gradients = torch.cat([w.grad.flatten(1).norm(dim=1) for w in weights if w.grad is not None])
    return norms, (norms * gradients) ** 2


def _outcome(run: Run, seen: Sequence[tuple[Tensor, Tensor]], weights: Sequence[Tensor]) -> Outcome:
    norms, pulls = (torch.stack(each) for each in zip(*seen, strict=True))
    pull = pulls.mean(0)
    entries = torch.cat([torch.full((len(w),), float(w[0].numel())) for w in weights])
    balance = run.rate * pull / (2 * run.strength) * (entries.sqrt() if run.method == "AWS" else 1.0)
    predicted = balance ** EXPONENTS[run.method]
    return Outcome(*(each.log().mean().exp().item() for each in (norms, pull, predicted)))


Results = dict[Run, Outcome]


def _line(results: Results, method: str, varied: str) -> list[tuple[Run, Outcome]]:
    return [(r, o) for r, o in results.items() if (r.method, r.varied) == (method, varied)]


def exponent(results: Results, method: str, varied: str, seed: int, with_pull: bool) -> float:
    """The slope of log ||w|| over log(eta / strength), or over log(eta G^2 / strength)."""
    mine = [(r, o) for r, o in _line(results, method, varied) if r.seed == seed]
    drive = [r.rate / r.strength * (o.pull if with_pull else 1.0) for r, o in mine]
    return float(np.polyfit(np.log(drive), np.log([o.norm for _, o in mine]), 1)[0])


def exponents(results: Results) -> dict[str, dict[str, list[float]]]:
    """For each line: the slopes over eta / strength and over eta G^2 / strength, and norm / prediction, by seed."""
    seeds = sorted({run.seed for run in results})
    found = {}
    for method, varied in itertools.product(EXPONENTS, (AT_STRENGTH, AT_RATE)):
        line = _line(results, method, varied)
        found[f"{method}, {varied} varied"] = {
            "exponent": [exponent(results, method, varied, seed, with_pull=False) for seed in seeds],
            "exponent_with_G": [exponent(results, method, varied, seed, with_pull=True) for seed in seeds],
            "norm_over_predicted": [o.norm / o.predicted for _, o in line],
        }
    return found


def table(results: Results) -> Table:
    shown = Table("", title="||w|| at equilibrium goes with (eta / strength)^p")
    for column in ("theory", "p", "p for eta G^2", "norm / predicted"):
        shown.add_column(column, justify="right")
    for name, found in exponents(results).items():
        slopes = (mean_and_error(found[key], 3) for key in ("exponent", "exponent_with_G"))
        ratio = mean_and_error(found["norm_over_predicted"], 3)
        shown.add_row(name, f"{EXPONENTS[name.split(',')[0]]:.3f}", *slopes, ratio)
    return shown


def draw(results: Results, axes: Axes) -> None:
    colours = {"AWS": "#2e86c1", "WD": "#d35400"}
    for method, colour in colours.items():
        for varied, marker in ((AT_STRENGTH, "o"), (AT_RATE, "s")):
            line = [
                (r.rate / r.strength, o.norm) for r, o in results.items() if (r.method, r.varied) == (method, varied)
            ]
            axes.loglog(*zip(*line, strict=True), marker, color=colour, alpha=0.6, label=f"{method}, {varied} varied")
        drives = np.array(sorted({r.rate / r.strength for r in results if r.method == method}))
        middle = np.exp(np.mean([np.log(o.norm) for r, o in results.items() if r.method == method]))
        theory = middle * (drives / np.exp(np.log(drives).mean())) ** EXPONENTS[method]
        axes.loglog(drives, theory, "--", color=colour, label=f"slope {EXPONENTS[method]:g}")
    axes.set(xlabel="rate / strength", ylabel="filter norm", title="equilibrium norm")
    axes.legend(fontsize=7)
