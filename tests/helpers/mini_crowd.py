"""A prepared crowd data set of a few tiny pictures, and configs for it; for tests in mmengine."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config

from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.cli.main import main
from normreg_plugins.hosts.mmengine.crowd import CrowdSample

ROOT = Path(__file__).resolve().parents[2]


def make_prepared(folder: Path, train: int = 4, test: int = 2) -> Path:
    """Draw the raw set and prepare it: so many images to train on, and so many each to validate and to test."""
    make_mini_set("crowd", folder / "raw", train=train + test, val=test, size=64)
    options = ["--val", str(test), "--sides", "64", "256", "--workers", "1", "--any-counts"]
    assert main(["prepare-qnrf", str(folder / "raw"), str(folder / "prepared"), *options]) == 0
    return folder / "prepared"


def mini_config(name: str, data: Path, work_dir: Path) -> Config:
    """configs/mini/NAME.py on this data, for a few steps."""
    cfg = Config.fromfile(ROOT / "configs" / "mini" / f"{name}.py")
    for phase in ("train", "val", "test"):
        cfg[f"{phase}_dataloader"].dataset.data_root = str(data)
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset.pipeline[1].size = 32
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.model.backbone.width = 0.125
    cfg.default_hooks.checkpoint = None
    cfg.visualizer.name = f"{name}-{work_dir}"
    cfg.work_dir = str(work_dir)
    return cfg


def sample_of(height: int, width: int, points=((3.0, 4.0),), **meta) -> CrowdSample:
    """A sample with these people, each of target 1."""
    sample = CrowdSample(metainfo={"img_shape": (height, width), "shorter_side": 64, **meta})
    sample.points = torch.tensor(points).reshape(-1, 2)
    sample.targets = torch.ones(len(sample.points))
    return sample
