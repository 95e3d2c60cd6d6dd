"""How costs grow with the number of weights and of ranks: `python -m research.benchmarks.growth --ranks 1 2 4`.

It times each part on chains of small convolutions with batch norms: to find the weights by structure, to trace a
forward, to prove them by numbers, to attach a method, one pass of WRS, one report of the monitor. The unit is a
training step of the same chain, whose convolutions are so small that it is nothing but handling. The exponent is the
slope of the times on log-log axes: 1 is linear. With --ranks, processes train together under DDP and FSDP2. Only the
processor time of each process is counted, so that a busy machine and waiting for other ranks matter little.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.fsdp
from rich.table import Table
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.cli.console import wide_console
from normreg_plugins.files import write_json
from normreg_plugins.monitor import Monitor
from research.benchmarks.timing import at_least

STEP = "training step"
Parts = dict[str, float]
"""Seconds by the name of the part."""
WAYS: dict[str, Callable[..., Any]] = {"DDP": DistributedDataParallel}
if hasattr(torch.distributed.fsdp, "fully_shard"):  # torch >= 2.6
    WAYS["FSDP2"] = torch.distributed.fsdp.fully_shard


def chain(weights: int, width: int = 4) -> nn.Sequential:
    pairs = [(nn.Conv2d(width if i else 3, width, 3, padding=1), nn.BatchNorm2d(width)) for i in range(weights)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


def loss(images: Tensor, model: nn.Module) -> Tensor:
    return model(images).square().mean()


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def parts_of(weights: int) -> Iterator[tuple[str, float]]:
    """Seconds of each part for a chain of so many weights, after those of one of its training steps."""
    net, forward = chain(weights), partial(loss, torch.randn(2, 3, 6, 6))
    optimizer = SGD(net.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        forward(net).backward()
        optimizer.step()

    step()
    yield STEP, statistics.median(seconds(step) for _ in range(3))
    yield "find by structure", seconds(lambda: find_scale_invariant(net))
    yield "find by tracing a forward", seconds(lambda: find_scale_invariant(net, forward))
    yield "prove by numbers", seconds(lambda: prove_scale_invariant(net, forward))
    yield from training_parts(net, forward)


def training_parts(net: nn.Module, forward: Callable[[nn.Module], Tensor]) -> Iterator[tuple[str, float]]:
    """Seconds of a plain step, to attach a method, of a step with a pass of WRS, and of one with a report too."""
    optimizer = SGD(net.parameters(), lr=1e-3)
    forward(net).backward()
    optimizer.step()
    yield "step of SGD alone", min(seconds(optimizer.step) for _ in range(3))
    wrs = WeightRescaling(interval=1)
    yield "attach", seconds(lambda: attach(optimizer, net, wrs, proof=find_scale_invariant(net)))
    forward(net).backward()
    optimizer.step()
    yield "step and pass of WRS", min(seconds(optimizer.step) for _ in range(3))
    with Monitor(optimizer, net, every=1):
        optimizer.step()
        yield "the same with a report of the monitor", min(seconds(optimizer.step) for _ in range(3))


def growth_table(counts: Sequence[int], rounds: int) -> Table:
    """The median time of each part, by the number of weights."""
    dict(parts_of(counts[0]))  # warms up
    found = {count: medians([dict(parts_of(count)) for _ in range(rounds)]) for count in counts}
    shown = Table("in training steps of the chain", *(f"{count} weights" for count in found), "exponent")
    for part in next(iter(found.values())):
        steps = (f"{parts[part] / parts[STEP]:.3g}" for parts in found.values())
        shown.add_row(part, *steps, f"{exponent({count: parts[part] for count, parts in found.items()}):.2f}")
    return shown


def medians(rounds: Sequence[Parts]) -> Parts:
    return {part: statistics.median(times[part] for times in rounds) for part in rounds[0]}


def exponent(by_count: dict[int, float]) -> float:
    """The slope of a line through the times on log-log axes."""
    x, y = ([math.log(value) for value in values] for values in (by_count, by_count.values()))
    return statistics.linear_regression(x, y).slope


def work_of_a_rank(out: Path, rounds: int, weights: int = 32, width: int = 64) -> None:
    """Each rank wraps the network, trains it, and writes the time of each part to a file of its own."""
    dist.init_process_group("gloo")
    forward = partial(loss, torch.randn(2, 3, 6, 6))

    def parts(length: int) -> Parts:
        ways = {name: training_parts(wrap(chain(length, width)), forward) for name, wrap in WAYS.items()}
        return {f"{name}: {part}": spent for name, found in ways.items() for part, spent in found}

    parts(4)  # warms up
    write_json(out / f"{dist.get_rank()}.json", [parts(weights) for _ in range(rounds)])
    dist.destroy_process_group()


def costs_of_a_rank(ranks: int, rounds: int) -> Parts:
    """The median seconds that each part takes one rank of so many."""
    with tempfile.TemporaryDirectory() as folder:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [*torchrun, "-m", "research.benchmarks.growth", "--rank-into", folder, f"--rounds={rounds}"]
        subprocess.run(command, check=True, capture_output=True)
        return medians([times for file in Path(folder).iterdir() for times in json.loads(file.read_text())])


def ranks_table(found: dict[int, Parts]) -> Table:
    first, *others = found
    shown = Table(f"one rank, beside one of {first}", *(f"of {ranks}" for ranks in others))
    for part, alone in found[first].items():
        shown.add_row(part, *(f"{found[ranks][part] / alone:.2f} x" for ranks in others))
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--weights", type=at_least(1), nargs="+", default=[32, 64, 128, 256, 512], help="lengths of the chains")
    add("--rounds", type=at_least(1), default=3)
    add("--ranks", type=at_least(1), nargs="*", default=[], help="numbers of processes, such as 1 2 4")
    add("--rank-into", type=Path, help=argparse.SUPPRESS)  # how the program starts itself under torchrun
    args = parser.parse_args(argv)
    if len(set(args.weights)) < 2:
        parser.error(f"--weights {args.weights}: give two lengths or more")
    torch.set_num_threads(1)
    if args.rank_into:
        work_of_a_rank(args.rank_into, args.rounds)
        return 0
    console = wide_console()
    console.print(growth_table(sorted(set(args.weights)), args.rounds))
    if args.ranks:
        console.print(ranks_table({ranks: costs_of_a_rank(ranks, args.rounds) for ranks in sorted(set(args.ranks))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
