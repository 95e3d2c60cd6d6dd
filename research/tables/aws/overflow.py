"""Which strengths a weight-standardized net survives (AWS paper, Tables 1 and 2).

Under weight decay a filter without a gradient shrinks by a constant factor, towards zero. Eq. 25 divides by its
standard deviation. So the gradient, and then the weight, leave the range of float32. Under AWS the shrink vanishes with
the weight. The paper sees this in ImageNet runs of 450,000 updates at rates 0.1 (SGD) and 0.001 (Adam). At 10 and 100
times those rates a thousand updates show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import Tensor, nn

from normreg_plugins import AdaptiveWeightShrink, attach
from normreg_plugins.layers import WSConv2d
from research.digits import tested_accuracy, training
from research.nets import TextbookWS, conv_weights, digits_net, filter_norms, two_groups
from research.tables import study
from research.tables.study import Axis, Study, cross_table, grid, mean_and_error

RATES = {"SGD": 1.0, "Adam": 0.1}
OPTIMIZERS: Axis = {f"{name}, rate {rate:g}": {"optimizer": name} for name, rate in RATES.items()}
TEXTBOOK, OURS = "eq. 25", "our WSConv2d"
LAYERS = {TEXTBOOK: TextbookWS, OURS: WSConv2d}
ROWS: Axis = {
    f"{method} {strength:g}, {layer}": {"method": method, "strength": strength, "layer": layer}
    for method, strength, layer in (
        *(("WD", strength, TEXTBOOK) for strength in (1e-2, 1e-3, 1e-4, 1e-5)),
        ("WD", 1e-2, OURS),
        *(("AWS", strength, TEXTBOOK) for strength in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)),
    )
}


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str
    strength: float
    layer: str
    optimizer: str


@dataclass(frozen=True)
class Outcome:
    failed_at: int | None
    """The update after which the loss or a weight was not finite; None if that did not happen."""
    accuracy: float | None
    smallest_norm: float
    """Of any filter, at any time."""
    largest_gradient: float


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net(conv=LAYERS[run.layer])
    weights = conv_weights(model)
    optimizer = _optimizer(run, model, weights)
    smallest, largest = math.inf, 0.0
    for update, loss in training(model, optimizer, run.seed, run.updates):
        norms = filter_norms(weights)
        gradients = torch.cat([w.grad.flatten() for w in weights if w.grad is not None])
        if not (loss.isfinite() and norms.isfinite().all()):
            return Outcome(update, None, smallest, largest)
        smallest, largest = min(smallest, norms.min().item()), max(largest, gradients.abs().max().item())
    return Outcome(None, tested_accuracy(model, run.seed), smallest, largest)


def _optimizer(run: Run, model: nn.Module, weights: list[Tensor]) -> torch.optim.Optimizer:
    decay = run.strength if run.method == "WD" else 0.0
    groups = two_groups(model, weights, {"weight_decay": decay}, {"weight_decay": 1e-4})  # the second as in the paper
    rate = RATES[run.optimizer]
    optimizer: torch.optim.Optimizer
    if run.optimizer == "SGD":
        optimizer = torch.optim.SGD(groups, rate, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(groups, rate)
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    return optimizer


def cell(results: Results) -> str:
    failed = [update for update in results.each("failed_at") if update is not None]
    if failed:
        return f"{len(failed)} of {len(results)} fail, from {min(failed)} on"
    return f"{mean_and_error(results.each('accuracy'))}  ({min(results.each('smallest_norm')):.0e})"


def table(results: Results) -> Table:
    updates = next(iter(results)).updates
    title = f"test accuracy % after {updates} updates (least norm of a filter), or when it left float32"
    return cross_table(title, results, ROWS, OPTIMIZERS, cell)


def draw(results: Results, axes: Axes) -> None:
    """The accuracy over the strength; a cross on the axis where runs fail."""
    looks = {("WD", "SGD"): "o", ("WD", "Adam"): "^", ("AWS", "SGD"): "s", ("AWS", "Adam"): "D"}
    for (method, optimizer), marker in looks.items():
        mine = results.where(method=method, optimizer=optimizer, layer=TEXTBOOK)
        colour = "#2e86c1" if method == "AWS" else "#d35400"
        alive = [run for run, outcome in mine.items() if outcome.failed_at is None]
        failed = [run.strength for run, outcome in mine.items() if outcome.failed_at is not None]
        strengths, accuracies = [run.strength for run in alive], [mine[run].accuracy for run in alive]
        axes.semilogx(strengths, accuracies, marker, color=colour, alpha=0.6, label=f"{method}, {optimizer}")
        axes.semilogx(failed, [0] * len(failed), "x", color=colour, markersize=9, clip_on=False)
    axes.set(xlabel="strength", ylabel="test accuracy %", ylim=(0, 100), title="x: left float32")
    axes.legend(fontsize=7)


STUDY = Study(1200, grid(Run, ROWS, OPTIMIZERS), train, table, draw)
