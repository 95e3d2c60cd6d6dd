"""The filter norm at equilibrium under each optimizer (L2 paper, Table 1 and Sections 4, 5).

At equilibrium ||w|| ~ (eta / lambda)^p, with p = 1/4 under SGD, momentum and Nesterov, 1/3 under RMSprop and Adam, and
1/2 under AdamW, which the paper leaves out. Each setting of an optimizer has the same effective rate by its law. So the
nets differ in the norm of their filters only, and the measured slope is p alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from rich.table import Table

from normreg_plugins.plots import style
from research.filters.effective_rates import LAWS
from research.results import mean_and_error
from research.studies import l2_nets

SETTINGS = {"sgd": (0.3, 0.1), "momentum": (0.03, 0.1), "nesterov": (0.03, 0.1)}
ADAPTIVE = {"rmsprop": (0.02, 0.02), "adam": (0.02, 0.02), "adamw": (0.02, 1.0)}
"""Rate and weight decay in the middle of each line."""
FACTORS = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class Run:
    optimizer: str
    rate: float
    decay: float
    seed: int
    updates: int


@dataclass(frozen=True)
class Outcome:
    norm: float
    """The geometric mean over filters and the second half of the updates."""


def runs(seeds: int, updates: int) -> list[Run]:
    """For each optimizer several settings with one effective rate, so that the net stays the same."""
    made = []
    for optimizer, (rate, decay) in {**SETTINGS, **ADAPTIVE}.items():
        for factor in FACTORS:
            made += [Run(optimizer, *_along(optimizer, rate, decay, factor), seed, updates) for seed in range(seeds)]
    return made


def _along(optimizer: str, rate: float, decay: float, factor: float) -> tuple[float, float]:
    """Rate and decay on the line where the effective rate of the law stays: eta^a lambda^b."""
    rate_power, decay_power = LAWS[optimizer].equilibrium_exponents()
    return rate * factor, decay * factor ** (-rate_power / decay_power)


def train(run: Run) -> Outcome:
    logs = []
    for update, weights, _ in l2_nets.training(run.optimizer, run.rate, run.decay, run.updates, run.seed):
        if update > run.updates // 2:
            norms = [weight.detach().flatten(1).norm(dim=1) for weight in weights]
            logs.append(torch.cat(norms).log().mean().item())
    return Outcome(float(np.exp(np.mean(logs))))


Results = dict[Run, Outcome]


def slopes(results: Results, optimizer: str) -> list[float]:
    """The exponent of each seed: the slope of log ||w|| over log(eta / lambda)."""
    mine = [(r, o) for r, o in results.items() if r.optimizer == optimizer]
    found = []
    for seed in sorted({run.seed for run, _ in mine}):
        line = np.array([(r.rate / r.decay, o.norm) for r, o in mine if r.seed == seed])
        x, y = np.log(line.T)
        found.append(float(np.polyfit(x, y, 1)[0]))
    return found


def exponents(results: Results) -> dict[str, dict[str, object]]:
    names = dict.fromkeys(run.optimizer for run in results)
    return {name: {"law": LAWS[name].norm_exponent, "measured": slopes(results, name)} for name in names}


def table(results: Results) -> Table:
    shown = Table("optimizer", title="||w|| at equilibrium goes with (eta / lambda)^p")
    for column in ("p by Table 1", "p measured, by seed"):
        shown.add_column(column, justify="right")
    for name in exponents(results):
        shown.add_row(name, f"{LAWS[name].norm_exponent:.3f}", mean_and_error(slopes(results, name), 3))
    return shown


def draw(results: Results, axes: Axes) -> None:
    for index, name in enumerate(exponents(results)):
        mine = [(r.rate / r.decay, o.norm) for r, o in results.items() if r.optimizer == name]
        ratios = sorted({ratio for ratio, _ in mine})
        logs = [[np.log(norm) for ratio, norm in mine if ratio == each] for each in ratios]
        means = np.array([np.mean(each) for each in logs])
        looks = {**style(index, len(ratios)), "linestyle": ""}
        axes.errorbar(ratios, np.exp(means), np.exp(means) * [np.std(each) for each in logs], **looks, label=name)
        law = np.exp(means.mean()) * (ratios / np.exp(np.mean(np.log(ratios)))) ** LAWS[name].norm_exponent
        axes.plot(ratios, law, color=looks["color"], linewidth=0.9)
    axes.set(xscale="log", yscale="log", xlabel="rate / weight decay", ylabel="filter norm")
    axes.set_title("equilibrium norm; lines: slope by Table 1")
    axes.legend(fontsize=7)
