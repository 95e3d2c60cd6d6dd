"""What the processes of the sharded test do. They import it by name, so it is apart from the test."""

import json
from pathlib import Path

from torch.optim import Adam

from helpers.training import tiny_net, train
from normreg_plugins import WeightRescaling, attach
from normreg_plugins.monitor import Monitor


def monitor_under_fsdp2(rank: int, folder: Path) -> None:
    from torch.distributed.fsdp import fully_shard

    net = tiny_net()
    fully_shard(net)
    optimizer = Adam(net.parameters(), lr=0.05)
    attach(optimizer, net, WeightRescaling(interval=3, radius=2.0))
    monitor = Monitor(optimizer, net, every=3)
    train(net, optimizer, 3)
    (folder / f"{rank}.json").write_text(json.dumps(monitor.last.scalars(layers=True)))
