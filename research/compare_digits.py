#!/usr/bin/env python
"""Weight decay against WRS on scikit-learn's digits, in seconds: `python research/compare_digits.py`.

A small net of convolutions and batch norm learns 400 of the 1,797 real digits and is tested on all others. Each seed
draws its own split. `--sweep` compares strengths, as Fig. 2b of the WRS paper does: weight decay 0 to 5e-1, WRS every 1
to 30 updates.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

from normreg_plugins import WeightRescaling, attach, find_scale_invariant
from research.digits import LEARNED, accuracy, digits
from research.results import mean_and_error, save_figure

BATCH = 50
RATE = 0.1
NORMS_DECAY = 5e-4
"""The weight decay under WRS. It acts on what is not rescaled, as in line 7 of Algorithm 1."""


@dataclass(frozen=True)
class Setting:
    """One row of the table: weight decay on everything or, with an interval tau, WRS in its place."""

    weight_decay: float
    tau: int | None = None

    def __str__(self) -> str:
        return f"WD {self.weight_decay:g}" if self.tau is None else f"WRS tau {self.tau}"


@dataclass(frozen=True)
class Run:
    """The result of one training."""

    accuracy: float
    norms: list[float]
    """The mean norm of the filters that batch norm follows, at the start and after each epoch."""


SHORT = (Setting(0.0), Setting(5e-4), Setting(NORMS_DECAY, tau=10))
SWEEP = (
    *(Setting(decay) for decay in (0.0, 5e-4, 5e-3, 5e-2, 5e-1)),
    *(Setting(NORMS_DECAY, tau) for tau in (1, 10, 30)),
)


def small_net() -> nn.Sequential:
    def block(channels: int, filters: int) -> list[nn.Module]:
        conv = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(filters), nn.ReLU()]

    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*block(1, 16), *block(16, 32), nn.MaxPool2d(2), *block(32, 64), *pool, nn.Linear(64, 10))


def train(setting: Setting, seed: int, epochs: int) -> Run:
    torch.manual_seed(seed)
    images, labels, test_images, test_labels = digits(seed)
    model = small_net()
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=setting.weight_decay)
    if setting.tau is not None:
        attach(optimizer, model, WeightRescaling(interval=setting.tau))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    norms = [mean_filter_norm(model)]
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        norms.append(mean_filter_norm(model))
    return Run(accuracy(model.eval(), test_images, test_labels), norms)


@torch.no_grad()
def mean_filter_norm(model: nn.Module) -> float:
    weights = [model.get_parameter(verdict.name) for verdict in find_scale_invariant(model).of("invariant")]
    return torch.cat([weight.flatten(1).norm(dim=1) for weight in weights]).mean().item()


Results = dict[Setting, list[Run]]


def table(results: Results) -> Table:
    seeds = len(next(iter(results.values())))
    shown = Table("regularizer", title=f"scikit-learn's digits, {LEARNED} to learn from, mean of {seeds} seeds")
    shown.add_column("test accuracy %", justify="right")
    shown.add_column("filter norm at the end", justify="right")
    for setting, runs in results.items():
        norm = statistics.mean(run.norms[-1] for run in runs)
        shown.add_row(str(setting), mean_and_error([run.accuracy for run in runs]), f"{norm:.3g}")
    return shown


def picture(results: Results) -> Figure:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, (setting, runs) in enumerate(results.items()):
        colour = _colour(setting, results)
        errors = [100 - run.accuracy for run in runs]
        left.plot([place] * len(errors), errors, "o", color=colour, alpha=0.5)
        left.plot(place, statistics.mean(errors), "_", color="black", markersize=22)
        mean_norms = [statistics.mean(norms) for norms in zip(*(run.norms for run in runs), strict=True)]
        right.plot(mean_norms, color=colour, label=str(setting))
    left.set_xticks(range(len(results)), [str(setting).replace(" ", "\n", 1) for setting in results])
    left.set(title="test error in % (dots: seeds, bar: mean)")
    right.set(title="mean norm of the filters that batch norm follows", xlabel="epoch")
    right.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        drawn = [float(y) for line in axes.lines for y in line.get_ydata()]
        if max(drawn) > 10 * min(drawn) > 0:
            axes.set_yscale("log")
    return figure


def _colour(setting: Setting, results: Results) -> str:
    """Warm colours for weight decay and cool ones for WRS. A stronger setting is darker."""
    family = [s for s in results if (s.tau is None) == (setting.tau is None)]
    shades = ("#f5b041", "#eb8a2f", "#d35400", "#a93226", "#641e16")
    cool = ("#1a5276", "#2e86c1", "#85c1e9")
    place = family.index(setting)
    return shades[place] if setting.tau is None else cool[place]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--sweep", action="store_true", help="compare strengths of weight decay and of WRS")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each setting")
    parser.add_argument("--epochs", type=int, default=30, help="epochs of each training, 8 updates each")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/digits"), help="folder for the picture")
    args = parser.parse_args(argv)
    for name in ("seeds", "epochs"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: must be 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(1)  # the net is too small for more
    runs = [(setting, seed) for setting in (SWEEP if args.sweep else SHORT) for seed in range(args.seeds)]
    results: Results = {}
    for setting, seed in track(runs, "training", console=Console(stderr=True)):
        results.setdefault(setting, []).append(train(setting, seed, args.epochs))
    console = Console()
    console.print(table(results))
    console.print(
        save_figure(picture(results), args.out / ("sweep.png" if args.sweep else "compare.png")), soft_wrap=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
