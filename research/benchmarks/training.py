"""The time of a whole training step under several configs, as ratios to the first.

All nets train in turns on one batch. Each round has as many steps as the longest interval of a method.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from normreg_plugins.cli.mm_runs import build_runner, check_or_refuse, read_config
from normreg_plugins.hosts.mmengine.method_hook import handles_of
from research.benchmarks.timing import Times, interleaved, ratios, spread

ROUNDS = 3


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", type=Path, nargs="+", help="configs of one task, the baseline first")


def ready_step(config: Path, batch: Any = None) -> tuple[Callable[[], Any], Any, int]:
    """A function that makes one update of a config's net, the batch it uses, and the interval of the method."""
    quiet = {"log_level": "WARNING", "visualizer.name": config.stem}
    cfg = read_config(config, quiet, work_dir=Path("work_dirs") / "benchmark")
    check_or_refuse(cfg, str(config), ("train",))
    runner = build_runner(cfg)
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    model = runner.model.train()
    if batch is None:
        batch = next(iter(runner.build_dataloader(cfg.train_dataloader)))
    intervals = [getattr(handle.method, "interval", 1) for handle in handles_of(runner)]
    return lambda: model.train_step(batch, wrapper), batch, max(intervals, default=1)


def windows(times: Times, length: int) -> Times:
    """The mean of every `length` steps."""
    starts = range(0, len(next(iter(times.values()))) - length + 1, length)
    return {name: [statistics.fmean(each[at : at + length]) for at in starts] for name, each in times.items()}


def step_times(configs: Sequence[Path], rounds: int) -> Times:
    """Seconds of a step under each config, averaged over each round."""
    steps, batch, length = {}, None, 1
    for config in configs:
        steps[config.stem], batch, interval = ready_step(config, batch)
        length = max(length, interval)
    return windows(interleaved(steps, rounds * length), length)


def tables(args: argparse.Namespace) -> Iterator[Table]:
    times = step_times(args.configs, args.rounds)
    shown = Table("config", "step time", "quartiles")
    for name, mine in times.items():
        shown.add_row(name, *spread(ratios(mine, times[args.configs[0].stem])))
    yield shown
