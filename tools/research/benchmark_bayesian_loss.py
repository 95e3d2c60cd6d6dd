#!/usr/bin/env python
"""Time and memory of the Bayesian loss with gradient, beside its dense form.

`python tools/research/benchmark_bayesian_loss.py` times both on crops of 512 px (a map of 64 x 64 cells). The dense
form is the usual one: a softmax over a matrix of points by cells. Both run in turns on one thread. Only the time of
that thread is counted, so that a busy machine matters little. The result is the ratio of the medians. Memory is the
peak of all tensors of one loss and its gradient, as torch's profiler sees it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tools/__init__.py says why

import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from normreg_plugins.crowd.losses import BACKGROUNDS, BayesianLoss, axis_distances
from tools.shared.wide_console import wide_console

SIDE, STRIDE, SIGMA = 512, 8, 8.0
CELLS = SIDE // STRIDE
Loss = Callable[[Tensor, Tensor], Tensor]


def dense_loss(background: str | None) -> Loss:
    """sum_n |1 - <p_n, D>| + |<p_0, D>| of one crop, with the posterior as a matrix, in float32."""

    def loss(density: Tensor, points: Tensor) -> Tensor:
        x_distances, y_distances = axis_distances(points, (CELLS, CELLS), STRIDE)
        distances = (y_distances[:, :, None] + x_distances[:, None, :]).flatten(1)
        wanted = torch.ones(len(points))
        if background is not None:
            pseudo_distance, ratio = BACKGROUNDS[background]
            nearest = distances.amin(0, keepdim=True)
            distances = torch.cat([distances, pseudo_distance(nearest, ratio * SIDE)])
            wanted = torch.cat([wanted, torch.zeros(1)])
        posterior = torch.softmax(-distances / (2 * SIGMA**2), dim=0)
        return (wanted - posterior @ density.flatten()).abs().sum()

    return loss


def separable_loss(background: str | None) -> Loss:
    module = BayesianLoss(SIGMA, STRIDE, background)
    return lambda density, points: module(density[None], [points])


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


def step(loss: Loss, density: Tensor, points: Tensor) -> tuple[float, Tensor]:
    leaf = density.clone().requires_grad_()
    value = loss(leaf, points)
    value.backward()
    assert leaf.grad is not None
    return value.item(), leaf.grad


def milliseconds(losses: list[Loss], density: Tensor, points: Tensor, rounds: int) -> list[float]:
    """The median time of each loss. They run in turns."""
    times: list[list[float]] = [[] for _ in losses]
    for _ in range(rounds + 1):  # the first is a warm-up
        for loss, own in zip(losses, times, strict=True):
            start = time.thread_time()
            step(loss, density, points)
            own.append(1e3 * (time.thread_time() - start))
    return [statistics.median(own[1:]) for own in times]


def peak_megabytes(loss: Loss, density: Tensor, points: Tensor) -> float:
    """Highest sum of allocations minus frees during one loss and gradient."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(loss, density, points)
    changes = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(changes, key=_start):
        now += event.nbytes()
        peak = max(peak, now)
    return peak / 2**20


def _start(event: Any) -> int:
    return event.start_ns() if hasattr(event, "start_ns") else event.start_us()  # torch < 2.2


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--points", type=int, nargs="+", default=[100, 1000, 5000])
    add("--rounds", type=int, default=9, help="timed rounds (default: 9)")
    add("--background", choices=["none", *BACKGROUNDS], nargs="+", default=["none", "margin"])
    return parser.parse_args(argv)


def compare(layout: str, count: int, background: str | None, rounds: int) -> list[str]:
    """One row of the table."""
    points, density = LAYOUTS[layout](count), torch.rand(CELLS, CELLS) * 2 * count / CELLS**2
    losses = [dense_loss(background), separable_loss(background)]
    dense, ours = milliseconds(losses, density, points, rounds)
    dense_memory, our_memory = (peak_megabytes(loss, density, points) for loss in losses)
    (true, true_gradient), (value, gradient) = (step(loss, density, points) for loss in losses)
    error = max(abs(value - true) / true, (gradient - true_gradient).abs().max().item())
    times = [f"{dense:.1f}", f"{ours:.1f}", f"{dense / ours:.0f}"]
    return [layout, str(count), str(background), *times, f"{dense_memory:.0f}", f"{our_memory:.1f}", f"{error:.0e}"]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    columns = ("people", "points", "background", "dense ms", "ours ms", "ratio", "dense MB", "ours MB", "differ by")
    shown = Table(*columns, box=MARKDOWN, title=f"torch {torch.__version__}, 1 thread, {CELLS} x {CELLS} cells")
    cases = [*itertools.product(LAYOUTS, args.points, args.background)]
    for layout, count, name in track(cases, "measuring", console=Console(stderr=True)):
        shown.add_row(*compare(layout, count, None if name == "none" else name, args.rounds))
    wide_console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
