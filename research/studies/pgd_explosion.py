"""The gradient of short filters (constrained paper, eq. 18-20): reparametrized, it explodes; on the sphere it cannot.

A weight-standardized layer divides its weight by the standard deviation sigma, so the gradient goes with 1 / sigma. PGD
keeps every filter at the norm sqrt(2), so nothing is divided, and a short initial filter is as good as a long one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from rich.table import Table
from torch import nn

from normreg_plugins import SphereDescent, attach
from normreg_plugins.plots import style
from research.results import mean_and_error
from research.studies.common import batches
from research.studies.l2_nets import bn_net
from research.studies.nets import TextbookWS, conv_weights, ws_net

KINDS = ("reparametrized, eq. 25", "PGD")
SCALES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the initial weights."""


@dataclass(frozen=True)
class Run:
    kind: str
    scale: float
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    gradient: float
    """The mean norm of a filter's gradient over the batches. Nothing is trained, so that the scale stays as it is."""


def runs(seeds: int, updates: int) -> list[Run]:
    return [Run(*each, updates) for each in itertools.product(KINDS, SCALES, range(seeds))]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = bn_net() if run.kind == "PGD" else ws_net(TextbookWS)
    weights = conv_weights(model)
    with torch.no_grad():
        for weight in weights:
            weight.mul_(run.scale)
    if run.kind == "PGD":
        attach(torch.optim.SGD(model.parameters(), lr=0.1), model, SphereDescent())  # it puts them on the sphere
    found = []
    for images, labels in batches(run.seed, 32, run.updates):
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        found += [weight.grad.flatten(1).norm(dim=1).mean().item() for weight in weights if weight.grad is not None]
    return Outcome(float(np.mean(found)))


Results = dict[Run, Outcome]


def exponent(results: Results, kind: str) -> list[float]:
    """The slope of log gradient over log scale, by seed: -1 where the gradient goes with 1 / sigma, 0 without."""
    found = []
    for seed in sorted({run.seed for run in results}):
        line = np.array([(r.scale, o.gradient) for r, o in results.items() if (r.kind, r.seed) == (kind, seed)])
        x, y = np.log(line.T)
        found.append(float(np.polyfit(x, y, 1)[0]))
    return found


def table(results: Results) -> Table:
    shown = Table("filters", title="the gradient goes with (scale of the initial weights)^p")
    shown.add_column("p", justify="right")
    for kind in KINDS:
        shown.add_row(kind, mean_and_error(exponent(results, kind), 3))
    return shown


def draw(results: Results, axes: Axes) -> None:
    for index, kind in enumerate(KINDS):
        means = [np.mean([o.gradient for r, o in results.items() if (r.kind, r.scale) == (kind, s)]) for s in SCALES]
        axes.loglog(SCALES, means, label=kind, **{**style(index, len(SCALES)), "markevery": 1})
    axes.set(xlabel="scale of the initial weights", ylabel="gradient norm of a filter", title="gradient explosion")
    axes.legend(fontsize=8)
