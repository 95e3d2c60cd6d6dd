"""What the processes of the distributed scale-bias test do. They import it by name, so it is apart from the test."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from normreg_plugins.layers import ScaleBias

SEED, CHANNELS = 3, 64


def noise() -> Tensor:
    """The noise that a layer draws for 32 samples of 5 x 5, from the seed that all processes share."""
    torch.manual_seed(SEED)
    layer = ScaleBias(CHANNELS, sigma=1.0)
    return (layer(torch.ones(32, CHANNELS, 5, 5)) - 1).detach()


def net() -> nn.Module:
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Conv2d(3, 4, 3), ScaleBias(4, sigma=0.4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten())


def gradients(checkpointed: bool) -> list[Tensor]:
    model = net()
    x = torch.randn(2, 3, 8, 8)
    output = checkpoint(model, x, use_reentrant=False) if checkpointed else model(x)
    return list(torch.autograd.grad(output.square().sum(), list(model.parameters())))


def trained() -> dict[str, Tensor]:
    """Three updates under DDP, every process on the same images."""
    model = DistributedDataParallel(net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()
    return model.module.state_dict()


def one_process(rank: int, processes: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=processes, timeout=timedelta(minutes=2))
    try:
        found = {"noise": noise(), "again": noise(), "generator": torch.get_rng_state()}
        found |= {"plain": gradients(False), "checkpointed": gradients(True), "weights": trained()}
        torch.save(found, folder / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
