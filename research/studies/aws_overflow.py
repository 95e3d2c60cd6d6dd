"""Which strengths a weight-standardized net survives (AWS paper, Tables 1 and 2).

Under weight decay a filter without a gradient shrinks by a constant factor, towards zero. Eq. 25 divides by its
standard deviation. So the gradient, and then the weight, leave the range of float32. Under AWS the shrink vanishes with
the weight. The paper sees this in ImageNet runs of 450,000 updates at rates 0.1 (SGD) and 0.001 (Adam). At 10 and 100
times those rates a thousand updates show it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import Tensor, nn

from normreg_plugins import AdaptiveWeightShrink, attach
from normreg_plugins.layers import WSConv2d
from research.digits import accuracy, digits
from research.results import mean_and_error
from research.studies.common import batches, parameters_besides
from research.studies.nets import TextbookWS, conv_weights, ws_net

OPTIMIZERS = {"SGD": 1.0, "Adam": 0.1}
TEXTBOOK, OURS = "eq. 25", "our WSConv2d"
LAYERS = {TEXTBOOK: TextbookWS, OURS: WSConv2d}
ROWS = (
    *(("WD", strength, TEXTBOOK) for strength in (1e-2, 1e-3, 1e-4, 1e-5)),
    ("WD", 1e-2, OURS),
    *(("AWS", strength, TEXTBOOK) for strength in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)),
)


@dataclass(frozen=True)
class Run:
    method: str
    strength: float
    layer: str
    optimizer: str
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    failed_at: int | None
    """The update after which the loss or a weight was not finite; None if that did not happen."""
    accuracy: float | None
    smallest_norm: float
    """Of any filter, at any time."""
    largest_gradient: float


def runs(seeds: int, updates: int) -> list[Run]:
    made = itertools.product(ROWS, OPTIMIZERS, range(seeds))
    return [Run(*row, optimizer, seed, updates) for row, optimizer, seed in made]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = ws_net(conv=LAYERS[run.layer])
    weights = conv_weights(model)
    optimizer = _optimizer(run, model, weights)
    smallest, largest = math.inf, 0.0
    for update, (images, labels) in enumerate(batches(run.seed, 32, run.updates), start=1):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        norms = torch.cat([w.detach().flatten(1).norm(dim=1) for w in weights])
        gradients = torch.cat([w.grad.flatten() for w in weights if w.grad is not None])
        if not (loss.isfinite() and norms.isfinite().all()):
            return Outcome(update, None, smallest, largest)
        smallest, largest = min(smallest, norms.min().item()), max(largest, gradients.abs().max().item())
    _, _, test_images, test_labels = digits(run.seed)
    return Outcome(None, accuracy(model.eval(), test_images, test_labels), smallest, largest)


def _optimizer(run: Run, model: nn.Module, weights: list[Tensor]) -> torch.optim.Optimizer:
    groups = [
        {"params": weights, "weight_decay": run.strength if run.method == "WD" else 0.0},
        {"params": parameters_besides(model, weights), "weight_decay": 1e-4},  # as in the paper
    ]
    rate = OPTIMIZERS[run.optimizer]
    optimizer: torch.optim.Optimizer
    if run.optimizer == "SGD":
        optimizer = torch.optim.SGD(groups, rate, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(groups, rate)
    if run.method == "AWS":
        attach(optimizer, model, AdaptiveWeightShrink(run.strength))
    return optimizer


Results = dict[Run, Outcome]


def cell(outcomes: list[Outcome]) -> str:
    failed = [o.failed_at for o in outcomes if o.failed_at is not None]
    if failed:
        return f"{len(failed)} of {len(outcomes)} fail, from {min(failed)} on"
    reached = [o.accuracy for o in outcomes if o.accuracy is not None]
    return f"{mean_and_error(reached)}  ({min(o.smallest_norm for o in outcomes):.0e})"


def table(results: Results) -> Table:
    updates = next(iter(results)).updates
    what = f"test accuracy % after {updates} updates (least norm of a filter), or when float32 was left"
    shown = Table("", "layer", title=what)
    for name, rate in OPTIMIZERS.items():
        shown.add_column(f"{name}, rate {rate:g}", justify="right")
    for method, strength, layer in ROWS:
        mine = [(r, o) for r, o in results.items() if (r.method, r.strength, r.layer) == (method, strength, layer)]
        cells = [cell([o for r, o in mine if r.optimizer == name]) for name in OPTIMIZERS]
        shown.add_row(f"{method} {strength:g}", layer, *cells)
    return shown


def draw(results: Results, axes: Axes) -> None:
    """The accuracy over the strength; a cross on the axis where runs fail."""
    styles = {("WD", "SGD"): "o", ("WD", "Adam"): "^", ("AWS", "SGD"): "s", ("AWS", "Adam"): "D"}
    for (method, optimizer), marker in styles.items():
        mine = [(r, o) for r, o in results.items() if (r.method, r.optimizer, r.layer) == (method, optimizer, TEXTBOOK)]
        colour = "#2e86c1" if method == "AWS" else "#d35400"
        alive = [(r.strength, o.accuracy) for r, o in mine if o.failed_at is None]
        failed = [r.strength for r, o in mine if o.failed_at is not None]
        axes.semilogx(*zip(*alive, strict=True), marker, color=colour, alpha=0.6, label=f"{method}, {optimizer}")
        if failed:
            axes.semilogx(failed, [0] * len(failed), "x", color=colour, markersize=9, clip_on=False)
    axes.set(xlabel="strength", ylabel="test accuracy %", ylim=(0, 100), title="x: float32 was left")
    axes.legend(fontsize=7)
