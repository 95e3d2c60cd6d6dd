"""The monitor on shards and in compiled steps, and what it costs."""

from typing import Any

import pytest
import torch
import torch.distributed.fsdp
from helpers.processes import on_ranks
from helpers.training import loss_on, tiny_net, train
from torch.optim import SGD, Adam

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.monitor import Monitor


def monitored(sharded: bool) -> Monitor:
    net = tiny_net()
    if sharded:
        torch.distributed.fsdp.fully_shard(net)
    optimizer = Adam(net.parameters(), lr=0.05)
    attach(optimizer, net, WeightRescaling(interval=3, radius=2.0))
    monitor = Monitor(optimizer, net, every=3)
    train(net, optimizer, 3)
    return monitor


def scalars_of_a_rank(_rank: int) -> dict[str, Any]:
    return monitored(sharded=True).last.scalars(layers=True)


@pytest.mark.skipif(
    not hasattr(torch.distributed.fsdp, "fully_shard"), reason="torch.distributed.fsdp.fully_shard: torch >= 2.6"
)
def test_a_process_reports_its_own_filters() -> None:
    ranks = on_ranks(scalars_of_a_rank)
    unsharded = monitored(sharded=False).last
    for name, row in unsharded.layers.items():
        filters, turns = ([rank[f"norms/{name}/{key}"] for rank in ranks] for key in ("filters", "rotation_degrees"))
        assert sum(filters) == row.filters
        mean = sum(n * turn for n, turn in zip(filters, turns)) / sum(filters)
        assert mean == pytest.approx(row.rotation_degrees, rel=1e-3)
    assert all(rank["norms/max"] == pytest.approx(2.0) for rank in ranks)


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(torch.compiler, "set_stance"), reason="torch < 2.6 drops all hooks of a step that it compiles"
)
def test_in_a_compiled_step() -> None:
    torch._dynamo.reset()
    net, plain = tiny_net(), tiny_net()
    for each in (net, plain):
        optimizer = SGD(each.parameters(), lr=0.05)
        monitor = Monitor(optimizer, each, every=2)
        step = torch.compile(optimizer.step, backend="eager") if each is net else optimizer.step
        for index in range(4):
            optimizer.zero_grad()
            loss_on(each, index).backward()
            with torch._dynamo.config.patch(error_on_recompile=index > 0):
                step()
        if each is net:
            compiled = monitor.last
    assert compiled.update == monitor.last.update == 4
    assert compiled.overall.rotation_degrees == pytest.approx(monitor.last.overall.rotation_degrees, rel=1e-4)
