"""Which strengths work: weight decay from 0 to 5e-1, or WRS every 1 to 30 updates (WRS paper, Fig. 2b).

A net of three convolutions learns 400 digits and is tested on all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from rich.table import Table

from normreg_plugins import WeightRescaling, attach
from research.digits import LEARNED, tested_accuracy, training
from research.nets import conv_weights, digits_net, filter_norms
from research.tables import study
from research.tables.study import Axis, Study, draw_line, grid, mean_and_error

EVERY, RATE = 8, 0.1
OTHERS_DECAY = 5e-4
"""Weight decay under WRS. It acts on what is not rescaled, as in line 7 of Algorithm 1."""
DECAYS: Axis = {f"WD {decay:g}": {"decay": decay, "tau": None} for decay in (0.0, 5e-4, 5e-3, 5e-2, 5e-1)}
TAUS: Axis = {f"WRS tau {tau}": {"decay": OTHERS_DECAY, "tau": tau} for tau in (1, 10, 30)}
SETTINGS = {**DECAYS, **TAUS}


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    decay: float
    tau: int | None
    """The interval of WRS. None: without WRS, weight decay acts on everything."""


@dataclass(frozen=True)
class Outcome:
    accuracy: float
    norms: tuple[float, ...]
    """The mean filter norm at the start and after every 8 updates."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net((16, 32, 64))
    weights = conv_weights(model)
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=run.decay)
    if run.tau is not None:
        attach(optimizer, model, WeightRescaling(interval=run.tau))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.updates)
    norms = [filter_norms(weights).mean().item()]
    for update, _ in training(model, optimizer, run.seed, run.updates, schedule=schedule):
        if update % EVERY == 0:
            norms.append(filter_norms(weights).mean().item())
    return Outcome(tested_accuracy(model, run.seed), tuple(norms))


def table(results: Results) -> Table:
    shown = Table("", title=f"scikit-learn's digits, {LEARNED} to learn from")
    for column in ("test accuracy %", "filter norm at the end"):
        shown.add_column(column, justify="right")
    for name, settings in SETTINGS.items():
        mine = results.where(**settings)
        norm = sum(norms[-1] for norms in mine.each("norms")) / len(mine)
        shown.add_row(name, mean_and_error(mine.each("accuracy")), f"{norm:.3g}")
    return shown


def draw(results: Results, axes: Axes) -> None:
    for index, (name, settings) in enumerate(SETTINGS.items()):
        norms = zip(*results.where(**settings).each("norms"), strict=True)
        draw_line(axes, index, ((EVERY * place, sum(each) / len(each)) for place, each in enumerate(norms)), name)
    axes.set(yscale="log", xlabel="updates", ylabel="mean filter norm", title="strengths of weight decay and of WRS")
    axes.legend(fontsize=7)


STUDY = Study(240, grid(Run, SETTINGS), train, table, draw)
