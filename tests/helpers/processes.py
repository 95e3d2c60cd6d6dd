"""What the processes of a distributed test do. They import it by name, so it is apart from the tests."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from helpers.training import loss_on, tiny_net
from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core import Method
from normreg_plugins.core.errors import AttachError

WORLD = 2
METHODS = {
    "WRS": WeightRescaling(interval=4, at_start=True),
    "WRS(IC)": WeightRescaling(interval=1, per="position"),
    "AWS": AdaptiveWeightShrink(alpha=0.2),
    "PGD": SphereDescent(),
}


def run(tasks: Sequence[Callable[[int, Path], None]], folder: Path) -> None:
    """Each `task(rank, folder)` in two processes that know each other; what fails is written to the folder."""
    mp.spawn(_in_one_process, args=(_free_port(), tasks, folder), nprocs=WORLD)


def _in_one_process(rank: int, port: int, tasks: Sequence[Callable[[int, Path], None]], folder: Path) -> None:
    torch.set_num_threads(1)
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(WORLD)}
    os.environ.update(MASTER_ADDR="localhost", MASTER_PORT=str(port), **ranks)
    dist.init_process_group("gloo", rank=rank, world_size=WORLD)
    try:
        for task in tasks:
            try:
                task(rank, folder)
            except Exception:
                (folder / f"{task.__name__} {rank}.error").write_text(traceback.format_exc())
            dist.barrier()
    finally:
        dist.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def train_with(net: nn.Module, method: Method, updates: int, first: int = 0, stride: int = 1) -> nn.Module:
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    handle = attach(optimizer, net, method)
    for index in range(updates):
        optimizer.zero_grad()
        loss_on(net, first + stride * index).backward()
        optimizer.step()
    assert handle.updates == updates
    return net


def with_ddp(rank: int, folder: Path) -> None:
    """50 updates, each rank on batches of its own."""
    for name, method in METHODS.items():
        net = DistributedDataParallel(tiny_net(seed=rank))
        train_with(net, method, 50, first=rank, stride=WORLD)
        torch.save(net.module.state_dict(), folder / f"ddp {name} {rank}.pt")


def with_fsdp2(rank: int, folder: Path) -> None:
    """Six updates, all ranks on the same batches, so that their mean gradient is that of one process."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.fsdp import fully_shard

    for name, method in METHODS.items():
        net = tiny_net()
        fully_shard(net[3])
        fully_shard(net)
        train_with(net, method, 6)
        assert type(net[0].weight).__name__ == "DTensor"
        whole = get_model_state_dict(net, options=StateDictOptions(full_state_dict=True))
        if rank == 0:
            torch.save(whole, folder / f"fsdp2 {name}.pt")


def with_fsdp1(_rank: int, _folder: Path) -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel

    net = FullyShardedDataParallel(tiny_net(), device_id=torch.device("cpu"))
    with pytest.raises(AttachError, match=r"FSDP1.*fully_shard"):
        attach(SGD(net.parameters(), lr=0.1), net, METHODS["WRS"])
