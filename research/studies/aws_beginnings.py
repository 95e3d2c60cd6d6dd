"""Weights that are 1, 20 or 100 times as large at the start (AWS paper, Fig. 5 and 6).

A large weight has a small effective rate, eta / ||w||, and learns little until it has shrunk. Weight decay shrinks it
by the same factor at each update, so a larger weight takes longer. AWS shrinks a larger weight faster: whatever its
size at the start, after t updates of shrinking m(w) is below 1 / (eta alpha t).
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import nn

from normreg_plugins import AdaptiveWeightShrink, attach
from research.digits import accuracy, digits
from research.results import mean_and_error
from research.studies.common import batches, parameters_besides
from research.studies.nets import conv_weights, ws_net

RATE = 0.1
SCALES = (1, 20, 100)
METHODS = (("WD", 1e-4), ("WD", 1e-3), ("AWS", 1e-1))
"""WD 1e-4 is the paper's. Its alpha of 2.5e-3 is for 450,000 updates. A run of 2,000 updates needs a larger alpha, and
WD 1e-3 is a larger weight decay for the same reason."""
CHECKS = 8
"""How often a run is tested."""


@dataclass(frozen=True)
class Run:
    method: str
    strength: float
    scale: int
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    checked_at: list[int]
    accuracies: list[float]
    norm: float
    """The mean filter norm at the end."""


def runs(seeds: int, updates: int) -> list[Run]:
    made = itertools.product(METHODS, SCALES, range(seeds))
    return [Run(method, strength, scale, seed, updates) for (method, strength), scale, seed in made]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = ws_net()
    weights = conv_weights(model)
    with torch.no_grad():
        for weight in weights:
            weight.mul_(run.scale)
    groups = [
        {"params": weights, "weight_decay": run.strength if run.method == "WD" else 0.0},
        {"params": parameters_besides(model, weights), "weight_decay": 1e-4},  # as in the paper
    ]
    optimizer = torch.optim.SGD(groups, RATE, momentum=0.9)
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    _, _, test_images, test_labels = digits(run.seed)
    every = max(1, run.updates // CHECKS)
    checked_at, accuracies = [], []
    for update, (images, labels) in enumerate(batches(run.seed, 32, run.updates), start=1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if update % every == 0:
            checked_at.append(update)
            accuracies.append(accuracy(model.eval(), test_images, test_labels))
            model.train()
    norms = torch.cat([w.detach().flatten(1).norm(dim=1) for w in weights])
    return Outcome(checked_at, accuracies, norms.mean().item())


Results = dict[Run, Outcome]


def grouped(results: Results) -> dict[tuple[str, float, int], list[Outcome]]:
    """The outcomes of all seeds of each setting."""
    keys = dict.fromkeys((run.method, run.strength, run.scale) for run in results)
    return {key: [o for r, o in results.items() if (r.method, r.strength, r.scale) == key] for key in keys}


def table(results: Results) -> Table:
    updates = next(iter(results)).updates
    shown = Table("", title=f"test accuracy % after {updates} updates from weights x1, x20, x100 (filter norm)")
    for scale in SCALES:
        shown.add_column(f"x{scale}", justify="right")
    found = grouped(results)
    for method, strength in METHODS:
        outcomes = [found[method, strength, scale] for scale in SCALES]
        cells = [
            f"{mean_and_error([o.accuracies[-1] for o in each])}  ({statistics.mean(o.norm for o in each):.2f})"
            for each in outcomes
        ]
        shown.add_row(f"{method} {strength:g}", *cells)
    return shown


def draw(results: Results, axes: Axes) -> None:
    styles = dict(zip(SCALES, ("-", "--", ":"), strict=True))
    colours = dict(zip(METHODS, ("#641e16", "#eb8a2f", "#2e86c1"), strict=True))
    for (method, strength, scale), outcomes in grouped(results).items():
        errors = 100 - torch.tensor([o.accuracies for o in outcomes]).mean(0)
        label = f"{method} {strength:g}, x{scale}"
        axes.semilogy(outcomes[0].checked_at, errors, styles[scale], color=colours[method, strength], label=label)
    axes.set(xlabel="update", ylabel="test error %", title="larger beginnings")
    axes.legend(fontsize=7)
