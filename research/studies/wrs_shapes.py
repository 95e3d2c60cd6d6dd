"""How sparse the weights of each layer become (WRS paper, Section V-A, Fig. 4 and 5).

The shape beta of a generalized Gaussian is fitted to the weights as they stand, and in the space of the layer's inputs
(input space projection). 2 is a Gaussian. Below 2 the tails are heavier, which the paper calls sparse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import nn

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.plots import style
from research.digits import digits
from research.filters.weight_shapes import weight_shapes
from research.results import mean_and_error
from research.studies.common import batches, parameters_besides

METHODS = ("none", "WD", "WRS")
RATE, DECAY = 0.1, 5e-3


@dataclass(frozen=True)
class Run:
    method: str
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    layers: tuple[str, ...]
    weights: tuple[float, ...]
    """beta of each layer's weights as they stand."""
    in_input_space: tuple[float, ...]


def runs(seeds: int, updates: int) -> list[Run]:
    return [Run(method, seed, updates) for method in METHODS for seed in range(seeds)]


def net() -> nn.Sequential:
    """Four convolutions with batch norm."""
    layers: list[nn.Module] = []
    channels = 1
    for count in (8, 16, 16, 32):
        layers += [nn.MaxPool2d(2)] if count != channels and layers else []
        layers += [nn.Conv2d(channels, count, 3, padding=1, bias=False), nn.BatchNorm2d(count), nn.ReLU()]
        channels = count
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = net()
    names = [f"{name}.weight" for name, module in model.named_children() if isinstance(module, nn.Conv2d)]
    weights = [model.get_parameter(name) for name in names]
    decay = DECAY if run.method == "WD" else 0.0
    groups = [
        {"params": weights, "weight_decay": decay},
        {"params": parameters_besides(model, weights), "weight_decay": DECAY},
    ]
    optimizer = torch.optim.SGD(groups, RATE, momentum=0.9)
    if run.method == "WRS":
        attach(optimizer, model, WeightRescaling(interval=10))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.updates)
    for images, labels in batches(run.seed, 32, run.updates):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    shapes = weight_shapes(model, names, [_forward(run.seed)])
    projected = tuple(shape.in_input_space.beta for shape in shapes if shape.in_input_space is not None)
    return Outcome(tuple(names), tuple(shape.weights.beta for shape in shapes), projected)


def _forward(seed: int) -> Callable[[nn.Module], Any]:
    images, *_ = digits(seed)
    return lambda model: model(images)


Results = dict[Run, Outcome]


def _by_layer(results: Results, method: str, field: str) -> list[list[float]]:
    """For each layer the values of all seeds."""
    return list(map(list, zip(*(getattr(o, field) for r, o in results.items() if r.method == method), strict=True)))


def table(results: Results) -> Table:
    shown = Table("layer", title="shape beta as the weights stand / in input space")
    for method in METHODS:
        shown.add_column(method, justify="right")
    columns = {
        method: zip(_by_layer(results, method, "weights"), _by_layer(results, method, "in_input_space"), strict=True)
        for method in METHODS
    }
    cells = [[f"{mean_and_error(a, 2)} / {mean_and_error(b, 2)}" for a, b in column] for column in columns.values()]
    for name, *row in zip(next(iter(results.values())).layers, *cells, strict=True):
        shown.add_row(name, *row)
    return shown


def draw(results: Results, axes: Axes) -> None:
    names = next(iter(results.values())).layers
    lines = [(method, field) for method in METHODS for field in ("weights", "in_input_space")]
    for index, (method, field) in enumerate(lines):
        means = [sum(values) / len(values) for values in _by_layer(results, method, field)]
        looks = {**style(index, len(means)), "markevery": 1}
        axes.plot(range(len(names)), means, label=f"{method}, {field.replace('_', ' ')}", **looks)
    axes.axhline(2, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(names)), [name.removesuffix(".weight") for name in names])
    axes.set(xlabel="layer", ylabel="shape beta (2: Gauss)", title="sparsity of the weights")
    axes.legend(fontsize=7)
