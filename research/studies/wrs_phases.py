"""When weight decay and WRS are active (WRS paper, Fig. 1 and 6a): always, only early, only late, or never.

The paper trains 200 epochs and divides them at 60, before the first drop of the learning rate. Here it is 3/10 of the
updates too, and the rate drops by 10 at 3/10 and 6/10.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import nn

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.plots import MARKERS, OKABE_ITO
from research.digits import accuracy, digits
from research.results import mean_and_error
from research.studies.common import batches, parameters_besides
from research.studies.l2_nets import bn_net, filters

PHASES = {"never": (0.0, 0.0), "early": (0.0, 0.3), "late": (0.3, 1.0), "always": (0.0, 1.0)}
"""From where to where, in parts of the run."""
METHODS = ("WD", "WRS")
RATE, DECAY = 0.1, 5e-3


@dataclass(frozen=True)
class Run:
    method: str
    phase: str
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    accuracy: float
    """On the test images, in %."""
    norm: float
    """The mean filter norm at the end."""


def runs(seeds: int, updates: int) -> list[Run]:
    return [Run(m, phase, seed, updates) for m in METHODS for phase in PHASES for seed in range(seeds)]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = bn_net()
    weights = filters(model)
    groups: list[dict] = [{"params": weights}, {"params": parameters_besides(model, weights), "weight_decay": DECAY}]
    optimizer = torch.optim.SGD(groups, RATE, momentum=0.9)
    begin, end = (round(part * run.updates) for part in PHASES[run.phase])
    if run.method == "WRS" and end > begin:
        attach(optimizer, model, WeightRescaling(interval=10, begin=begin, end=end))
    drops = [round(part * run.updates) for part in (0.3, 0.6)]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, drops, 0.1)
    for update, (images, labels) in enumerate(batches(run.seed, 32, run.updates)):
        if run.method == "WD":
            optimizer.param_groups[0]["weight_decay"] = DECAY if begin <= update < end else 0.0
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    _, _, test_images, test_labels = digits(run.seed)
    norms = torch.cat([weight.detach().flatten(1).norm(dim=1) for weight in weights])
    return Outcome(accuracy(model.eval(), test_images, test_labels), norms.mean().item())


Results = dict[Run, Outcome]


def _of(results: Results, method: str, phase: str) -> list[Outcome]:
    return [outcome for run, outcome in results.items() if (run.method, run.phase) == (method, phase)]


def table(results: Results) -> Table:
    shown = Table("active", title="test accuracy in %, and the mean filter norm at the end")
    for method in METHODS:
        shown.add_column(method, justify="right")
    for phase in PHASES:
        cells = []
        for method in METHODS:
            found = _of(results, method, phase)
            cells.append(
                f"{mean_and_error([o.accuracy for o in found])}  ({mean_and_error([o.norm for o in found], 2)})"
            )
        shown.add_row(phase, *cells)
    return shown


def draw(results: Results, axes: Axes) -> None:
    for index, method in enumerate(METHODS):
        for place, phase in enumerate(PHASES):
            values = [outcome.accuracy for outcome in _of(results, method, phase)]
            at = place + 0.2 * (index - 0.5)
            label = method if place == 0 else None
            axes.scatter([at] * len(values), values, color=OKABE_ITO[index], marker=MARKERS[index], label=label)
            axes.plot([at - 0.07, at + 0.07], [sum(values) / len(values)] * 2, color="black", linewidth=1.5)
    axes.set_xticks(range(len(PHASES)), PHASES)
    axes.set(xlabel="when it is active", ylabel="test accuracy %", title="phases; stroke: mean over seeds")
    axes.legend(fontsize=8)
