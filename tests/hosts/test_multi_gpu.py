"""mmengine on two processes: ranks stay equal, and what cuts through filters is refused."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from torch import distributed

pytestmark = pytest.mark.mm


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def in_two_processes(work, folder):
    """Call work(rank, folder) in each of two gloo ranks."""
    multiprocessing.spawn(_rank, args=(work, str(folder), free_port()), nprocs=2)


def _rank(rank, work, folder, port):
    torch.set_num_threads(1)
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2"
    )
    distributed.init_process_group("gloo")
    try:
        work(rank, Path(folder))
    finally:
        distributed.destroy_process_group()


def train_with_ddp(rank, folder):
    from mm_toy import train, weights

    runner = train(
        folder,
        {"type": "WRS", "interval": 3},
        launcher="pytorch",
        model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
        custom_hooks=[{"type": "EMAHook", "momentum": 0.05}],
        **{"train_cfg.max_epochs": 17},  # 51 updates: 24 images, four on each of two ranks
    )
    model = runner.model.module
    torch.save({"weights": dict(model.named_parameters()), "all": weights(runner)}, folder / f"rank{rank}.pt")


@pytest.mark.slow
def test_ranks_are_equal_to_the_bit(tmp_path):
    in_two_processes(train_with_ddp, tmp_path)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    checkpoint = torch.load(tmp_path / "epoch_17.pth", weights_only=False)
    assert checkpoint["optimizer"]["state"]["normreg_plugins"] == {"updates": 51}
    for name, value in ranks[0]["weights"].items():
        assert torch.equal(value, ranks[1]["weights"][name]), name
    for name in ("conv1", "depthwise", "conv3"):
        lengths = ranks[0]["weights"][f"{name}.weight"].flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(8))
    assert not torch.equal(ranks[0]["all"]["bn1.running_mean"], ranks[1]["all"]["bn1.running_mean"])  # other batches


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_deepspeed_is_refused_with_what_to_do(tmp_path, way):
    """ZeRO-3 marks each parameter it has cut."""
    from mm_toy import config
    from mmengine.runner import Runner

    from normreg_plugins.core.errors import AttachError

    runner = Runner.from_cfg(config(tmp_path, {"type": "WRS"}, way))
    runner.model.conv3.weight.ds_id = 7
    with pytest.raises(AttachError, match=r"conv3\.weight: DeepSpeed ZeRO-3 .* Use ZeRO stage 0, FSDP2"):
        runner.train()


def refuse_fsdp1(rank, folder):
    from mm_toy import ToyNet
    from mmengine.optim import build_optim_wrapper
    from torch.distributed.fsdp import FullyShardedDataParallel

    model = FullyShardedDataParallel(ToyNet(), device_id=torch.device("cpu"), use_orig_params=True)
    settings = {
        "constructor": "NormRegOptimWrapperConstructor",
        "regularizer": {"type": "WRS"},
        "optimizer": {"type": "SGD", "lr": 0.1},
    }
    try:
        build_optim_wrapper(model, settings)
    except ValueError as error:
        (folder / f"rank{rank}.txt").write_text(str(error))


@pytest.mark.slow
def test_fsdp1_is_refused_with_what_to_do(tmp_path):
    in_two_processes(refuse_fsdp1, tmp_path)
    for rank in (0, 1):
        said = (tmp_path / f"rank{rank}.txt").read_text()
        assert "FSDP1 keeps weights in flat pieces" in said
        assert "fully_shard" in said
