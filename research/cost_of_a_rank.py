#!/usr/bin/env python
"""What this package costs one rank under DDP and FSDP2. `benchmark_growth.py --ranks` starts it by torchrun.

Each rank writes the processor time of each part to a file. What it waits for other ranks is not counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.fsdp
from torch.nn.parallel import DistributedDataParallel

from normreg_plugins import prove_scale_invariant
from normreg_plugins.files import write_json
from research.part_costs import Parts, chain, loss, seconds, training_parts

WAYS: dict[str, Callable[..., Any]] = {"DDP": DistributedDataParallel}
if hasattr(torch.distributed.fsdp, "fully_shard"):  # torch >= 2.6
    WAYS["FSDP2"] = torch.distributed.fsdp.fully_shard


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
