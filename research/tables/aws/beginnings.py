"""Weights that are 1, 20 or 100 times as large at the start (AWS paper, Fig. 5 and 6).

A large weight has a small effective rate, eta / ||w||, and learns little until it has shrunk. Weight decay shrinks it
by the same factor at each update, so a larger weight takes longer. AWS shrinks a larger weight faster: whatever its
size at the start, after t updates of shrinking m(w) is below 1 / (eta alpha t).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table

from normreg_plugins import AdaptiveWeightShrink, attach
from normreg_plugins.layers import WSConv2d
from normreg_plugins.plots import OKABE_ITO
from research.digits import tested_accuracy, training
from research.nets import conv_weights, digits_net, filter_norms, two_groups
from research.tables import study
from research.tables.study import Axis, Study, axis, cross_table, grid, mean_and_error

RATE = 0.1
SCALES = axis("scale", (1, 20, 100), "x{}")
METHODS: Axis = {
    f"{method} {strength:g}": {"method": method, "strength": strength}
    for method, strength in (("WD", 1e-4), ("WD", 1e-3), ("AWS", 1e-1))
}
"""WD 1e-4 is the paper's. Its alpha of 2.5e-3 is for 450,000 updates. A run of 2,000 updates needs a larger alpha, and
WD 1e-3 is a larger weight decay for the same reason."""
CHECKS = 8
"""How often a run is tested."""


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str
    strength: float
    scale: int


@dataclass(frozen=True)
class Outcome:
    checked_at: tuple[int, ...]
    accuracies: tuple[float, ...]
    norm: float
    """The mean filter norm at the end."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net(conv=WSConv2d)
    weights = conv_weights(model)
    with torch.no_grad():
        for weight in weights:
            weight.mul_(run.scale)
    decay = run.strength if run.method == "WD" else 0.0
    groups = two_groups(model, weights, {"weight_decay": decay}, {"weight_decay": 1e-4})  # the second as in the paper
    optimizer = torch.optim.SGD(groups, RATE, momentum=0.9)
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    every = max(1, run.updates // CHECKS)
    checks = {
        update: tested_accuracy(model, run.seed)
        for update, _ in training(model, optimizer, run.seed, run.updates)
        if update % every == 0
    }
    return Outcome(tuple(checks), tuple(checks.values()), filter_norms(weights).mean().item())


def _cell(results: Results) -> str:
    last = [accuracies[-1] for accuracies in results.each("accuracies")]
    return f"{mean_and_error(last)}  ({statistics.mean(results.each('norm')):.2f})"


def table(results: Results) -> Table:
    updates = next(iter(results)).updates
    title = f"test accuracy % after {updates} updates from weights x1, x20, x100 (filter norm)"
    return cross_table(title, results, METHODS, SCALES, _cell)


def draw(results: Results, axes: Axes) -> None:
    for index, (method, settings) in enumerate(METHODS.items()):
        for (scale, more), dashes in zip(SCALES.items(), ("-", "--", ":"), strict=True):
            mine = results.where(**settings, **more)
            errors = 100 - torch.tensor(mine.each("accuracies")).mean(0)
            label = f"{method}, {scale}"
            axes.semilogy(mine.each("checked_at")[0], errors, dashes, color=OKABE_ITO[index], label=label)
    axes.set(xlabel="update", ylabel="test error %", title="larger beginnings")
    axes.legend(fontsize=7)


STUDY = Study(2000, grid(Run, METHODS, SCALES), train, table, draw)
