"""When weight decay and WRS are active (WRS paper, Fig. 1 and 6a): always, only early, only late, or never.

The paper trains 200 epochs and divides them at 60, before the first drop of the learning rate. Here it is 3/10 of the
updates too, and the rate drops by 10 at 3/10 and 6/10.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table

from normreg_plugins import WeightRescaling, attach
from research.digits import tested_accuracy, training
from research.nets import conv_weights, digits_net, filter_norms, two_groups
from research.tables import study
from research.tables.study import Study, axis, cross_table, draw_dots, grid, mean_and_error

PHASES = {"never": (0.0, 0.0), "early": (0.0, 0.3), "late": (0.3, 1.0), "always": (0.0, 1.0)}
"""From where to where, in parts of the run."""
METHODS, ACTIVE = axis("method", ("WD", "WRS")), axis("phase", PHASES)
RATE, DECAY = 0.1, 5e-3


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    method: str
    phase: str


@dataclass(frozen=True)
class Outcome:
    accuracy: float
    norm: float
    """The mean filter norm at the end."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net()
    weights = conv_weights(model)
    optimizer = torch.optim.SGD(two_groups(model, weights, {}, {"weight_decay": DECAY}), RATE, momentum=0.9)
    begin, end = (round(part * run.updates) for part in PHASES[run.phase])
    if run.method == "WRS" and end > begin:
        attach(optimizer, model, WeightRescaling(interval=10, begin=begin, end=end))

    def set_decay(updates: int) -> None:
        active = run.method == "WD" and begin <= updates < end
        optimizer.param_groups[0]["weight_decay"] = DECAY if active else 0.0

    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [round(p * run.updates) for p in (0.3, 0.6)], 0.1)
    set_decay(0)
    for updates, _ in training(model, optimizer, run.seed, run.updates, schedule=schedule):
        set_decay(updates)
    return Outcome(tested_accuracy(model, run.seed), filter_norms(weights).mean().item())


def _cell(results: Results) -> str:
    return f"{mean_and_error(results.each('accuracy'))}  ({mean_and_error(results.each('norm'), 2)})"


def table(results: Results) -> Table:
    title = "test accuracy in %, and the mean filter norm at the end"
    return cross_table(title, results, ACTIVE, METHODS, _cell, corner="active")


def draw(results: Results, axes: Axes) -> None:
    draw_dots(axes, results, ACTIVE, METHODS)
    axes.set(xlabel="when it is active", ylabel="test accuracy %", title="phases; stroke: mean over seeds")


STUDY = Study(1000, grid(Run, METHODS, ACTIVE), train, table, draw)
