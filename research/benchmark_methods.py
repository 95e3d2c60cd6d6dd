#!/usr/bin/env python
"""Time and memory of a training step with each method: `python research/benchmark_methods.py detection`.

It builds the configs of configs/mini, with the layers that a method needs (weight-standardized convolutions, scale-bias
layers). All nets train in turns on one batch, so that a busy machine slows all of them equally. The results are ratios
to weight decay. The peak memory of two steps is measured for each method in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from normreg_plugins.cli.mm_runs import build_runner, check_or_refuse, read_config
from normreg_plugins.hosts.mmengine.method_hook import handles_of
from research.comparison.description import read_comparison
from research.comparison.train_cell import config_of

BASELINE = "wd"
TASKS = ("detection", "segmentation", "crowd")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("task", choices=TASKS, help="whose methods in configs/comparisons are measured")
    add("--rounds", type=int, default=3, help="rounds to time; each has as many steps as the interval of WRS")
    add("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds}: must be 1 or more")
    return args


def ready_step(config: Path, task: str, batch: Any = None) -> tuple[Callable[[], Any], Any, int]:
    """A function that makes one update of a config's net, the batch it uses, and the interval of the method."""
    quiet = {"log_level": "WARNING", "visualizer.name": config.stem}
    cfg = read_config(config, quiet, work_dir=Path("work_dirs") / f"benchmark_{task}")
    check_or_refuse(cfg, str(config), ("train",))
    runner = build_runner(cfg)
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    model = runner.model.train()
    if batch is None:
        batch = next(iter(runner.build_dataloader(cfg.train_dataloader)))
    intervals = [getattr(handle.method, "interval", 1) for handle in handles_of(runner)]
    return lambda: model.train_step(batch, wrapper), batch, max(intervals, default=1)


def step_times(task: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of a step, averaged over each round. The first round warms up and is left out."""
    steps, batch, length = {}, None, 1
    comparison = read_comparison(task)
    for method in comparison.methods:
        steps[method], batch, interval = ready_step(config_of(comparison, method), task, batch)
        length = max(length, interval)
    times: dict[str, list[float]] = {method: [] for method in steps}
    for _ in track(range((rounds + 1) * length), "stepping all in turns", console=Console(stderr=True)):
        for method, step in steps.items():
            _wait()
            start = time.perf_counter()
            step()
            _wait()
            times[method].append(time.perf_counter() - start)
    blocks = range(length, (rounds + 1) * length, length)
    return {method: [statistics.fmean(each[b : b + length]) for b in blocks] for method, each in times.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory(config: Path, task: str, threads: int) -> int:
    """The peak memory of two updates in bytes, with net and optimizer. The process must not have done anything else."""
    torch.set_num_threads(threads)
    before = _most_resident()
    step, _, _ = ready_step(config, task)
    step()
    step()
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return _most_resident() - before


def _most_resident() -> int:
    """Linux's high-water mark of this process. (That of getrusage begins at the mark of the parent process.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def memories(task: str, threads: int) -> dict[str, int]:
    found = {}
    comparison = read_comparison(task)
    for method in track(comparison.methods, "measuring memory", console=Console(stderr=True)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            found[method] = alone.submit(peak_memory, config_of(comparison, method), task, threads).result()
    return found


def main() -> int:
    args = parse_args()
    torch.set_num_threads(args.threads)
    memory = memories(args.task, args.threads)
    times = step_times(args.task, args.rounds)
    shown = Table(title=f"{read_comparison(args.task).title}, beside weight decay")
    for column in ("method", "step time", "lowest - highest", "memory", "GiB"):
        shown.add_column(column, justify="left" if column == "method" else "right")
    for method, mine in times.items():
        ratios = [a / b for a, b in zip(mine, times[BASELINE], strict=True)]
        spread = f"{min(ratios):.3f} - {max(ratios):.3f}"
        share = f"{memory[method] / memory[BASELINE]:.2f}"
        shown.add_row(method, f"{statistics.median(ratios):.3f}", spread, share, f"{memory[method] / 2**30:.2f}")
    Console().print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
