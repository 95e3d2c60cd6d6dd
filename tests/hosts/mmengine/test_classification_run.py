"""A classification net of mmpretrain in a real run: methods, the monitor, a resume that is bit for bit."""

import itertools

import pytest
import torch

pytest.importorskip("mmpretrain")

from helpers.config_keys import CONFIGS
from mmengine.config import Config
from mmengine.runner import Runner

from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.hosts.mmengine import handles_of
from normreg_plugins.monitor import logs_of

pytestmark = pytest.mark.mmpretrain
_runs = itertools.count()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "set"
    make_mini_set("classification", folder, train=60, val=60)
    return folder


def config(method, data, work_dir, epochs, **options):
    """configs/mini/resnet18_METHOD.py, with channels of 4 to 32: four updates in an epoch.

    Nothing is random but the order of the images, because mmengine does not keep the state of a generator for a resume.
    """
    cfg = Config.fromfile(CONFIGS / "mini" / f"resnet18_{method}.py")
    for phase in ("train", "val", "test"):
        loader = cfg[f"{phase}_dataloader"]
        loader.update(batch_size=15, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data)
    del cfg.train_dataloader.dataset.pipeline[1]
    cfg.merge_from_dict(
        {
            "model.backbone.stem_channels": 4,
            "model.backbone.base_channels": 4,
            "model.head.in_channels": 32,
            "train_cfg.max_epochs": epochs,
            "train_cfg.val_interval": 1,
            "default_hooks.checkpoint.interval": 1,
            "default_hooks.checkpoint.max_keep_ckpts": -1,
            "default_hooks.monitor.interval": 1,
            "visualizer.name": f"classification{next(_runs)}",
            "log_level": "WARNING",
            "work_dir": str(work_dir),
            **options,
        }
    )
    cfg.experiment_name = cfg.visualizer.name
    return cfg


def train(*args, **options):
    runner = Runner.from_cfg(config(*args, **options))
    runner.train()
    return runner


def state(path):
    found = torch.load(path, weights_only=False)["state_dict"]
    return {name: value for name, value in found.items() if torch.is_tensor(value)}


@pytest.mark.parametrize("method", ["wrs", "bwn"])
def test_stopped_and_resumed_is_bit_for_bit_the_run_without_a_stop(method, digits, tmp_path):
    whole = train(method, digits, tmp_path / "whole", 2)
    train(method, digits, tmp_path / "part", 2, **{"train_cfg.max_epochs": 1})
    resumed = train(method, digits, tmp_path / "part", 2, resume=True)
    assert [handle.updates for runner in (whole, resumed) for handle in handles_of(runner)] == [8, 8]
    mine, theirs = state(tmp_path / "part" / "epoch_2.pth"), state(tmp_path / "whole" / "epoch_2.pth")
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize(("method", "norm"), [("wrs", 1.0), ("pgd", 2**0.5)])
def test_filters_end_at_their_norm_and_the_monitor_writes_them(method, norm, digits, tmp_path):
    options = {"optim_wrapper.regularizer.interval": 4} if method == "wrs" else {}
    runner = train(method, digits, tmp_path, 1, **options)
    (handle,) = handles_of(runner)
    assert ("head.fc.weight" in handle.targets) == (method == "wrs")
    assert len(handle.targets) == (21 if method == "wrs" else 20)
    for name in handle.targets:
        norms = runner.model.get_parameter(name).detach().flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, torch.full_like(norms, norm))
    (log,) = logs_of([tmp_path])
    assert log is not None
    assert (tmp_path / "norms.jsonl").stat().st_size > 0
    assert "accuracy/top1" in (tmp_path / runner.timestamp / "vis_data" / "scalars.json").read_text()
