#!/usr/bin/env python
"""Time and memory of the Bayesian loss with gradient, beside its dense form.

`python research/benchmark_bayesian_loss.py` times both on crops of 512 px (a map of 64 x 64 cells). The dense
form is the usual one: a softmax over a matrix of points by cells. Both run in turns on one thread. Only the time of
that thread is counted, so that a busy machine matters little; with --device cuda all time is. The result is the ratio
of the medians. Memory is the peak of all tensors of one loss and its gradient, as torch's profiler sees it on the CPU.
--images takes so many crops at once.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from normreg_plugins.cli.console import wide_console
from normreg_plugins.crowd.losses import BACKGROUNDS, BayesianLoss, axis_distances

SIDE, STRIDE, SIGMA = 512, 8, 8.0
CELLS = SIDE // STRIDE
Loss = Callable[[Tensor, list[Tensor]], Tensor]
"""Of the densities [B, H, W] of some images and the points of each."""


def dense_loss(background: str | None) -> Loss:
    """Mean over crops of sum_n |1 - <p_n, D>| + |<p_0, D>|, with the posterior as a matrix, in float32."""

    def of_image(density: Tensor, points: Tensor) -> Tensor:
        x_distances, y_distances = axis_distances(points, (CELLS, CELLS), STRIDE)
        distances = (y_distances[:, :, None] + x_distances[:, None, :]).flatten(1)
        wanted = torch.ones(len(points), device=points.device)
        if background is not None:
            pseudo_distance, ratio = BACKGROUNDS[background]
            nearest = distances.amin(0, keepdim=True)
            distances = torch.cat([distances, pseudo_distance(nearest, ratio * SIDE)])
            wanted = torch.cat([wanted, wanted.new_zeros(1)])
        posterior = torch.softmax(-distances / (2 * SIGMA**2), dim=0)
        return (wanted - posterior @ density.flatten()).abs().sum()

    return lambda density, points: torch.stack(list(map(of_image, density, points))).mean()


def separable_loss(background: str | None) -> Loss:
    return BayesianLoss(SIGMA, STRIDE, background)


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
    value.backward()
    assert leaf.grad is not None
    return value.item(), leaf.grad


def milliseconds(losses: list[Loss], density: Tensor, points: list[Tensor], rounds: int) -> list[float]:
    """The median time of each loss. They run in turns."""
    times: list[list[float]] = [[] for _ in losses]
    clock = time.perf_counter if density.is_cuda else time.thread_time
    for _ in range(rounds + 1):  # the first is a warm-up
        for loss, own in zip(losses, times, strict=True):
            start = clock()
            step(loss, density, points)  # it reads the value, and so waits for the device
            own.append(1e3 * (clock() - start))
    return [statistics.median(own[1:]) for own in times]


def peak_megabytes(loss: Loss, density: Tensor, points: list[Tensor]) -> float:
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
    add("--images", type=int, default=1, help="crops of a batch (default: 1)")
    add("--device", default="cpu")
    add("--background", choices=["none", *BACKGROUNDS], nargs="+", default=["none", "margin"])
    return parser.parse_args(argv)


def compare(layout: str, count: int, background: str | None, args: argparse.Namespace) -> list[str]:
    """One row of the table."""
    points = [LAYOUTS[layout](count).to(args.device) for _ in range(args.images)]
    density = (torch.rand(args.images, CELLS, CELLS) * 2 * count / CELLS**2).to(args.device)
    losses = [dense_loss(background), separable_loss(background)]
    dense, ours = milliseconds(losses, density, points, args.rounds)
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
    shown = Table(
        *columns, box=MARKDOWN, title=f"torch {torch.__version__}, 1 thread, {args.images} x {CELLS} x {CELLS} cells"
    )
    cases = [*itertools.product(LAYOUTS, args.points, args.background)]
    for layout, count, name in track(cases, "measuring", console=Console(stderr=True)):
        shown.add_row(*compare(layout, count, None if name == "none" else name, args))
    wide_console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
