"""Time and memory of the Bayesian loss with its gradient, as ratios to the published dense form.

The dense form is a softmax over a matrix of points by cells. Both run on crops of 512 px (a map of 64 x 64 cells), and
only the processor time of this thread counts. "differ by" is the largest difference of value (relative) and gradient.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from rich.table import Table
from torch import Tensor

from normreg_plugins.crowd.losses import BayesianLoss
from research.benchmarks.timing import at_least, interleaved, peak_memory, ratios

ROUNDS = 9
SIDE, STRIDE, SIGMA, MARGIN = 512, 8, 8.0, 0.15
CELLS = SIDE // STRIDE
Loss = Callable[[Tensor, list[Tensor]], Tensor]
"""Of the densities [B, H, W] of some images and the points of each."""


def dense_loss(background: str | None) -> Loss:
    """Mean over crops of sum_n |1 - <p_n, D>| + |<p_0, D>|, with the posterior as a matrix, in float32."""
    centres = (torch.arange(CELLS) + 0.5) * STRIDE

    def of_image(density: Tensor, points: Tensor) -> Tensor:
        x_distances, y_distances = ((centres - points[:, axis, None]).square() for axis in (0, 1))
        distances = (y_distances[:, :, None] + x_distances[:, None, :]).flatten(1)
        wanted = torch.ones(len(points))
        if background == "margin":
            nearest = distances.amin(0, keepdim=True)
            distances = torch.cat([distances, (MARGIN * SIDE - nearest.sqrt()).square()])
            wanted = torch.cat([wanted, torch.zeros(1)])
        posterior = torch.softmax(-distances / (2 * SIGMA**2), dim=0)
        return (wanted - posterior @ density.flatten()).abs().sum()

    return lambda density, points: torch.stack(list(map(of_image, density, points))).mean()


def uniform(count: int) -> Tensor:
    return torch.rand(count, 2) * SIDE


def cluster(count: int) -> Tensor:
    """All in one corner, on a fiftieth of the crop."""
    return torch.rand(count, 2) * SIDE / 7


def two_clusters(count: int) -> Tensor:
    """In opposite corners. This is the worst case: for a fifth of the cells the posterior underflows in float32."""
    points = torch.rand(count, 2) * SIDE / 13
    points[count // 2 :] += SIDE * 12 / 13
    return points


LAYOUTS = {"uniform": uniform, "one cluster": cluster, "two clusters": two_clusters}


def step(loss: Loss, density: Tensor, points: list[Tensor]) -> tuple[float, Tensor]:
    leaf = density.clone().requires_grad_()
    value = loss(leaf, points)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.item(), gradient


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--points", type=at_least(1), nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--background", choices=["none", "margin"], nargs="+", default=["none", "margin"])


def compare(layout: str, count: int, background: str | None, args: argparse.Namespace) -> Iterator[str]:
    """The numbers of one row."""
    points = [LAYOUTS[layout](count)]
    density = torch.rand(1, CELLS, CELLS) * 2 * count / CELLS**2
    losses = {"dense": dense_loss(background), "ours": BayesianLoss(SIGMA, STRIDE, background)}
    work = {name: lambda loss=loss: step(loss, density, points) for name, loss in losses.items()}
    times = interleaved(work, args.rounds, time.thread_time)
    yield f"{statistics.median(ratios(times['dense'], times['ours'])):.1f}"
    dense_memory, our_memory = map(peak_memory, work.values())
    yield f"{dense_memory / our_memory:.1f}"
    (true, true_gradient), (value, gradient) = (once() for once in work.values())
    yield f"{max(abs(value - true) / true, (gradient - true_gradient).abs().max().item()):.0e}"


def tables(args: argparse.Namespace) -> Iterator[Table]:
    shown = Table("people", "points", "background", "times faster", "times less memory", "differ by")
    for layout, count, name in itertools.product(LAYOUTS, args.points, args.background):
        shown.add_row(layout, str(count), name, *compare(layout, count, None if name == "none" else name, args))
    yield shown
