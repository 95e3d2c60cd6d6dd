"""Shards of different lengths, and norm layers that see biases. Ranks import it by name."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach

METHOD = WeightRescaling(interval=1, select=("0.weight", "2.weight", "4.weight"))


def odd_net() -> nn.Sequential:
    """Two ranks get 3 and 2 filters of the first layer, and 4 and 3 of the second. One rank gets the only filter."""
    torch.manual_seed(0)
    first, second, third = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 7, 3), nn.Conv2d(7, 1, 3)
    return nn.Sequential(
        first, nn.BatchNorm2d(5), second, nn.GroupNorm(1, 7), third, nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


def train_odd(net: nn.Module) -> None:
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, METHOD)
    for index in range(3):
        optimizer.zero_grad()
        loss(net, index).backward()
        optimizer.step()


def loss(net: nn.Module, index: int) -> Tensor:
    torch.manual_seed(index)
    return net(torch.randn(4, 3, 8, 8)).square().mean()


def with_odd_shards(rank: int, folder: Path) -> None:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.fsdp import fully_shard

    net = odd_net()
    fully_shard(net)
    train_odd(net)
    whole = get_model_state_dict(net, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        torch.save(whole, folder / "odd.pt")


def with_counted_messages(rank: int, folder: Path) -> None:
    """How often the ranks exchange something in one step with a pass."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.debug import CommDebugMode

    net = odd_net()
    fully_shard(net)
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1))
    loss(net, 0).backward()
    with CommDebugMode() as counted:
        optimizer.step()
    (folder / f"messages {rank}").write_text(str(counted.get_total_counts()))
