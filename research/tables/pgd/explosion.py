"""The gradient of short filters (constrained paper, eq. 18-20): reparametrized, it explodes; on the sphere it cannot.

A weight-standardized layer divides its weight by the standard deviation sigma, so the gradient goes with 1 / sigma. PGD
fixes the norm of every filter at sqrt(2), so nothing is divided, and a short initial filter is as good as a long one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from rich.table import Table
from torch import nn

from normreg_plugins import SphereDescent, attach
from research.digits import batches
from research.nets import TextbookWS, conv_weights, digits_net, filter_norms
from research.tables import study
from research.tables.study import Study, axis, cross_table, grid, mean_and_error

TEXTBOOK, PGD = "reparametrized, eq. 25", "PGD"
KINDS = axis("kind", (TEXTBOOK, PGD))
SCALES = axis("scale", (1e-3, 1e-2, 1e-1, 1.0, 10.0))
"""Of the initial weights."""


@dataclass(frozen=True, kw_only=True)
class Run(study.Run):
    kind: str
    scale: float


@dataclass(frozen=True)
class Outcome:
    gradient: float
    """The mean norm of a filter's gradient over the batches. Nothing is trained, so the scale stays as it is."""


Results = study.Results[Run, Outcome]


def train(run: Run) -> Outcome:
    torch.manual_seed(run.seed)
    model = digits_net(conv=nn.Conv2d if run.kind == PGD else TextbookWS)
    weights = conv_weights(model)
    with torch.no_grad():
        for weight in weights:
            weight.mul_(run.scale)
    if run.kind == PGD:
        attach(torch.optim.SGD(model.parameters(), lr=0.1), model, SphereDescent())  # it puts them on the sphere
    found = []
    for images, labels in batches(run.seed, run.updates):
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        found += [filter_norms([weight.grad]).mean().item() for weight in weights if weight.grad is not None]
    return Outcome(float(np.mean(found)))


def exponent(results: Results) -> list[float]:
    """The slope of log gradient over log scale, by seed: -1 where the gradient goes with 1 / sigma, 0 without."""
    return results.powers(lambda run, _: run.scale, lambda outcome: outcome.gradient)


def table(results: Results) -> Table:
    title = "the gradient goes with (scale of the initial weights)^p"
    return cross_table(title, results, KINDS, {"p": {}}, lambda mine: mean_and_error(exponent(mine), 3), "filters")


STUDY = Study(10, grid(Run, KINDS, SCALES), train, table)
