"""The constraints on and off (constrained paper, Table 3), and small batches (Table 2), on digits.

Nets without batch norm have a scale-bias layer behind each convolution. As in the paper: He's initial weights, SGD with
momentum, a cosine schedule, and a rate proportional to the batch (section 4.1.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import Tensor, nn

from normreg_plugins import SphereDescent, attach
from normreg_plugins.layers import ScaleBias
from research.digits import tested_accuracy, training
from research.nets import centre_alone, digits_net, two_groups
from research.tables import study
from research.tables.study import Axis, Study, accuracy_of, axis, cross_table, draw_dots, grid

RATE, BATCH, DECAY = 0.1, 32, 1e-3


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    net: str = "CNN"
    batch: int = BATCH
    batch_norm: bool = False
    centre: bool = False
    sphere: bool = False
    sigma: float = 0.0
    """The noise of the scale-bias layers."""


@dataclass(frozen=True)
class Outcome:
    accuracy: float


Results = study.Results[Run, Outcome]
Norm = Callable[[int], nn.Module]


def cnn(norm: Norm) -> nn.Sequential:
    """The plain CNN of the constrained paper (section 4.1.1), smaller: three stages of two convolutions."""
    return digits_net((8, 8, 16, 16, 32, 32), norm=norm, pool=nn.AvgPool2d)


def mlp(norm: Norm) -> nn.Sequential:
    """Three fully connected layers of 64, where batch norm sees one value of each image; in a CNN it sees a map."""
    hidden: list[nn.Module] = []
    for _ in range(3):
        hidden += [nn.Linear(64, 64, bias=False), norm(64), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))


NETS: dict[str, tuple[Callable[[Norm], nn.Sequential], Norm]] = {
    "CNN": (cnn, nn.BatchNorm2d),
    "MLP": (mlp, nn.BatchNorm1d),
}


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    build, batch_norm = NETS[run.net]
    model = build(batch_norm if run.batch_norm else lambda channels: ScaleBias(channels, run.sigma))
    weights: list[Tensor] = [m.weight for m in model.children() if isinstance(m, nn.Conv2d | nn.Linear)][:-1]
    for weight in weights:
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    of_others = {"weight_decay": DECAY if run.batch_norm else 0.0}
    groups = two_groups(model, weights, {"weight_decay": DECAY}, of_others)
    optimizer = torch.optim.SGD(groups, RATE * run.batch / BATCH, momentum=0.9)
    if run.sphere:
        attach(optimizer, model, SphereDescent(center=run.centre))
    elif run.centre:
        centre_alone(optimizer, weights)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.updates)
    for _ in training(model, optimizer, run.seed, run.updates, run.batch, schedule):
        pass
    return Outcome(tested_accuracy(model, run.seed))


CONSTRAINTS: Axis = {
    "neither": {"centre": False, "sphere": False},
    "centre": {"centre": True, "sphere": False},
    "sphere": {"centre": False, "sphere": True},
    "both": {"centre": True, "sphere": True},
}
SIGMAS = axis("sigma", (0.0, 0.1), "sigma {:g}")
"""The same sigma in all layers, because this net is not residual. The paper's net is, and has 0 and a linear 1.0."""
NO_NORM, BATCH_NORM = {"batch_norm": False}, {"batch_norm": True}


def ablation_runs(seeds: int, updates: int) -> list[Run]:
    return grid(Run, CONSTRAINTS, SIGMAS)(seeds, updates) + grid(Run, {"batch norm": BATCH_NORM})(seeds, updates)


def ablation_table(results: Results) -> Table:
    title = "test accuracy %, no norm layer; noise of standard deviation sigma"
    shown = cross_table(title, results.where(**NO_NORM), CONSTRAINTS, SIGMAS, corner="constraint")
    shown.add_section()
    shown.add_row("batch norm instead", accuracy_of(results.where(**BATCH_NORM)))
    return shown


def draw_ablation(results: Results, axes: Axes) -> None:
    places = {name: {**NO_NORM, **settings} for name, settings in CONSTRAINTS.items()}
    draw_dots(axes, results, {**places, "batch norm": BATCH_NORM}, SIGMAS)
    axes.set(ylabel="test accuracy %", title="centring x sphere x noise")


SIZES = axis("batch", (32, 4, 2), "B = {}")
METHODS: Axis = {
    f"{net}, {name}": {"net": net, **settings}
    for net in NETS
    for name, settings in (("PGD", {"centre": True, "sphere": True, "batch_norm": False}), ("batch norm", BATCH_NORM))
}


def batches_runs(seeds: int, updates: int) -> list[Run]:
    """All runs see equally many images, so a run with batch 2 has 16 times the updates of a run with batch 32."""
    return [
        run
        for name, size in SIZES.items()
        for run in grid(Run, METHODS, {name: size})(seeds, updates * BATCH // size["batch"])
    ]


def batches_table(results: Results) -> Table:
    return cross_table("test accuracy % by batch size, the same number of images each", results, METHODS, SIZES)


def draw_batches(results: Results, axes: Axes) -> None:
    draw_dots(axes, results, SIZES, METHODS)
    axes.set(xlabel="batch size", ylabel="test accuracy %", title="small batches")


ABLATION = Study(600, ablation_runs, train, ablation_table, draw_ablation)
BATCHES = Study(250, batches_runs, train, batches_table, draw_batches)
