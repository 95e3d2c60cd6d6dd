"""The parts of this package on chains of small convolutions, and what they cost one rank under DDP and FSDP2.

Each rank writes the processor time of each part to a file. Waiting for other ranks is not counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.fsdp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.files import write_json
from normreg_plugins.monitor import Monitor

WAYS: dict[str, Callable[..., Any]] = {"DDP": DistributedDataParallel}
if hasattr(torch.distributed.fsdp, "fully_shard"):  # torch >= 2.6
    WAYS["FSDP2"] = torch.distributed.fsdp.fully_shard


Parts = dict[str, float]
"""Seconds by the name of the part."""


def chain(weights: int, width: int = 4) -> nn.Sequential:
    pairs = [(nn.Conv2d(width if i else 3, width, 3, padding=1), nn.BatchNorm2d(width)) for i in range(weights)]
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


def loss(images: Tensor, model: nn.Module) -> Tensor:
    return model(images).square().mean()


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


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


def parts(weights: int, width: int) -> Iterator[tuple[str, float]]:
    """Every rank proves the plain network by itself, then wraps it and trains."""
    forward = partial(loss, torch.randn(2, 3, 6, 6))
    yield "prove by numbers", seconds(lambda: prove_scale_invariant(chain(weights, width), forward))
    for name, wrap in WAYS.items():
        for part, spent in training_parts(wrap(chain(weights, width)), forward):
            yield f"{name}: {part}", spent


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder, one file for each rank")
    parser.add_argument("--weights", type=int, default=32, help="conv weights of the chain (%(default)s)")
    parser.add_argument("--width", type=int, default=64, help="its channels (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    dict(parts(4, args.width))  # warms up
    found: list[Parts] = [dict(parts(args.weights, args.width)) for _ in range(args.rounds)]
    write_json(args.out / f"{dist.get_rank()}.json", found)
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
