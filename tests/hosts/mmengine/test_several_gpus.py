"""mmengine on two processes: ranks stay equal. What cuts through filters is refused in core."""

import pytest
import torch
from helpers.mm_toy import train, weights
from helpers.processes import on_ranks

pytestmark = pytest.mark.mm


def train_with_ddp(_rank, folder):
    runner = train(
        folder,
        {"type": "WRS", "interval": 3},
        launcher="pytorch",
        model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
        custom_hooks=[{"type": "NormRegEMAHook", "momentum": 0.05}],
        # 6 updates: 24 images, four on each of two ranks
    )
    model = runner.model.module
    return {"weights": dict(model.named_parameters()), "all": weights(runner)}


def test_ranks_are_equal_to_the_bit(tmp_path):
    ranks = on_ranks(train_with_ddp, tmp_path)
    checkpoint = torch.load(tmp_path / "epoch_2.pth", weights_only=False)
    assert checkpoint["optimizer"]["param_groups"][0]["normreg_plugins"] == {"updates": 6}
    for name, value in ranks[0]["weights"].items():
        assert torch.equal(value, ranks[1]["weights"][name]), name
    for name in ("conv1", "depthwise", "conv3"):
        lengths = ranks[0]["weights"][f"{name}.weight"].flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(8))
    assert not torch.equal(ranks[0]["all"]["bn1.running_mean"], ranks[1]["all"]["bn1.running_mean"])  # other batches
