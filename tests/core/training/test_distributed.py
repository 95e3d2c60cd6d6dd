"""Several processes: DDP needs nothing, FSDP2 shards whole filters, flat shards are refused."""

from typing import Any

import pytest
import torch
import torch.distributed.fsdp
from helpers.processes import on_ranks
from helpers.training import loss_on, tiny_net
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core import Method
from normreg_plugins.core.errors import AttachError

HAS_FSDP2 = hasattr(torch.distributed.fsdp, "fully_shard")
pytestmark = pytest.mark.slow  # ranks are processes
needs_fsdp2 = pytest.mark.skipif(not HAS_FSDP2, reason="torch.distributed.fsdp.fully_shard: torch >= 2.6")
METHODS = {
    "WRS": WeightRescaling(interval=4, at_start=True),
    "WRS(IC)": WeightRescaling(interval=1, per="position"),
    "AWS": AdaptiveWeightShrink(alpha=0.2),
    "PGD": SphereDescent(),
}


def trained(net: nn.Module, method: Method, updates: int, first: int = 0, stride: int = 1) -> nn.Module:
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    handle = attach(optimizer, net, method)
    for index in range(updates):
        optimizer.zero_grad()
        loss_on(net, first + stride * index).backward()
        optimizer.step()
    assert handle.updates == updates
    return net


def all_of(sharded: nn.Module) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))


def with_ddp(rank: int) -> dict[str, dict[str, Tensor]]:
    """20 updates, each rank on batches of its own."""
    nets = {name: DistributedDataParallel(tiny_net(seed=rank)) for name in METHODS}
    return {
        name: trained(net, METHODS[name], 20, first=rank, stride=2).module.state_dict() for name, net in nets.items()
    }


def test_ranks_stay_bit_equal_under_ddp() -> None:
    one, other = on_ranks(with_ddp)
    for method in METHODS:
        weights = [key for key in one[method] if "running" not in key]  # each rank's statistics are of its own batches
        assert len(weights) > 6
        assert all(torch.equal(one[method][key], other[method][key]) for key in weights), method


def with_fsdp2(rank: int) -> tuple[dict[str, Any], int]:
    """Six updates, all ranks on the same batches, so that their mean gradient is that of one process."""
    found = {"odd": all_of(train_odd(torch.distributed.fsdp.fully_shard(odd_net())))}
    for name, method in METHODS.items():
        net = tiny_net()
        torch.distributed.fsdp.fully_shard(net[3])
        torch.distributed.fsdp.fully_shard(net)
        trained(net, method, 6)
        assert type(net[0].weight).__name__ == "DTensor"
        found[name] = all_of(net)
    return found, messages(rank)


@needs_fsdp2
def test_sharded_training_equals_training_in_one_piece() -> None:
    """Also with shards of different lengths, and a layer norm in front of which the bias is scaled.

    The statistics of norm layers are not sharded, so every rank needs the factors and biases of all filters.
    """
    (sharded, sent), (_, received) = on_ranks(with_fsdp2)
    unsharded = {name: trained(tiny_net(), method, 6).state_dict() for name, method in METHODS.items()}
    unsharded["odd"] = train_odd(odd_net()).state_dict()
    for name, expected in unsharded.items():
        assert sharded[name].keys() == expected.keys()
        for key, value in expected.items():
            assert torch.allclose(sharded[name][key], value, atol=2e-5), (name, key)
    assert sent == received == 2  # one message with all factors, and one with all biases


def odd_net() -> nn.Sequential:
    """Two ranks get 3 and 2 filters of the first layer, and 4 and 3 of the second. One rank gets the only filter."""
    torch.manual_seed(0)
    first, second, third = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 7, 3), nn.Conv2d(7, 1, 3)
    return nn.Sequential(
        first, nn.BatchNorm2d(5), second, nn.GroupNorm(1, 7), third, nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


def train_odd(net: nn.Module) -> nn.Module:
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1, select=("0.weight", "2.weight", "4.weight")))
    for index in range(3):
        optimizer.zero_grad()
        odd_loss(net, index).backward()
        optimizer.step()
    return net


def odd_loss(net: nn.Module, index: int) -> Tensor:
    torch.manual_seed(index)
    return net(torch.randn(4, 3, 8, 8)).square().mean()


def messages(_rank: int) -> int:
    """How often the ranks exchange something in one step with a rescale, after the test of the first gradients."""
    from torch.distributed.tensor.debug import CommDebugMode

    net = odd_net()
    torch.distributed.fsdp.fully_shard(net)
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1))
    odd_loss(net, 0).backward()
    optimizer.step()
    odd_loss(net, 1).backward()
    with CommDebugMode() as counted:
        optimizer.step()
    return counted.get_total_counts()


def with_fsdp1(_rank: int) -> None:
    net = FullyShardedDataParallel(tiny_net(), device_id=torch.device("cpu"))
    with pytest.raises(AttachError, match=r"FSDP1.*fully_shard"):
        attach(SGD(net.parameters(), lr=0.1), net, METHODS["WRS"])


def test_flat_shards_are_refused() -> None:
    on_ranks(with_fsdp1)


def test_deepspeeds_flat_pieces_are_refused_by_their_mark() -> None:
    net = tiny_net()
    net[0].weight.ds_id = 0
    with pytest.raises(AttachError, match=r"0\.weight: DeepSpeed ZeRO-3"):
        attach(SGD(net.parameters(), lr=0.1), net, METHODS["WRS"])
