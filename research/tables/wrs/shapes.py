"""How sparse the weights of each layer become (WRS paper, Section V-A, Fig. 4 and 5).

The shape beta of a generalized Gaussian is fitted to the weights as they are, and in the space of the layer's inputs
(input space projection). 2 is a Gaussian. Below 2 the tails are heavier, which the paper calls sparse.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import nn

from normreg_plugins import WeightRescaling, attach
from research.digits import digits, training
from research.nets import conv_weights, digits_net, two_groups
from research.tables import study
from research.tables.study import Study, axis, draw_line, grid, mean_and_error
from research.tables.wrs.weight_shapes import weight_shapes

METHODS = axis("method", ("none", "WD", "WRS"))
RATE, DECAY = 0.1, 5e-3


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str


@dataclass(frozen=True)
class Outcome:
    layers: tuple[str, ...]
    weights: tuple[float, ...]
    """beta of each layer's weights as they are."""
    in_input_space: tuple[float, ...]


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net((8, 16, 16, 32))
    weights = conv_weights(model)
    decay = DECAY if run.method == "WD" else 0.0
    groups = two_groups(model, weights, {"weight_decay": decay}, {"weight_decay": DECAY})
    optimizer = torch.optim.SGD(groups, RATE, momentum=0.9)
    if run.method == "WRS":
        attach(
            optimizer, model, WeightRescaling(interval=10, output_layers=("16",))
        )  # the classifier, as the paper does
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.updates)
    for _ in training(model, optimizer, run.seed, run.updates, schedule=schedule):
        pass
    names = tuple(f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    images, *_ = digits(run.seed)
    shapes = weight_shapes(model, names, images)
    return Outcome(names, tuple(s.weights for s in shapes), tuple(s.in_input_space for s in shapes))


def _by_layer(results: Results, method: str, field: str) -> list[tuple[float, ...]]:
    """For each layer the values of all seeds."""
    return list(zip(*results.where(method=method).each(field), strict=True))


def table(results: Results) -> Table:
    shown = Table("layer", title="shape beta of the weights as they are / in input space")
    for method in METHODS:
        shown.add_column(method, justify="right")
    for layer, name in enumerate(results.each("layers")[0]):
        cells = [
            " / ".join(mean_and_error(_by_layer(results, m, f)[layer], 2) for f in ("weights", "in_input_space"))
            for m in METHODS
        ]
        shown.add_row(name, *cells)
    return shown


def draw(results: Results, axes: Axes) -> None:
    lines = [(method, field) for method in METHODS for field in ("weights", "in_input_space")]
    for index, (method, field) in enumerate(lines):
        means = [statistics.mean(values) for values in _by_layer(results, method, field)]
        draw_line(axes, index, enumerate(means), f"{method}, {field.replace('_', ' ')}")
    names = [name.removesuffix(".weight") for name in results.each("layers")[0]]
    axes.axhline(2, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel="layer", ylabel="shape beta (2: Gauss)", title="sparsity of the weights")
    axes.legend(fontsize=7)


STUDY = Study(600, grid(Run, METHODS), train, table, draw)
