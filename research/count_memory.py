#!/usr/bin/env python
"""Count the memory of a training step on each GPU: `python research/count_memory.py configs/csrnet_wrs.py`.

It prints a row for each number of GPUs: with --split-batch where the protocol's batch splits, else with --grow-batch.
Nothing is computed: the forward pass runs on torch's meta device, and the tensors that autograd keeps are added to
weights, gradients and the numbers of the optimizer. Workspaces of the GPU's libraries are not counted. In detection,
the few tensors of the loss are not counted either.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from normreg_plugins.cli.console import refuse, wide_console
from normreg_plugins.cli.mm_runs import read_config
from normreg_plugins.cli.preflight.total_batch import TotalBatchError, batch_of, grow_batch, split_batch
from normreg_plugins.crowd.network import GIB, step_memory

IMAGES = {"instances_train2017": 117_266, "instances_trainvalno5k": 117_263, "UCFQNRF": 1_201 - 120}
"""Training images with labels of COCO 2017, COCO 2014 and UCF-QNRF, by annotation file or type of data set."""

SIDES = {"Resize": "scale", "RandomCrop": "crop_size", "CrowdRandomCrop": "size"}
"""The steps of a pipeline that decide the size of the images, and their setting for it."""


class Scored(nn.Module):
    """A segmentation model with its loss: a score for each class at each pixel."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[2:]
        labels = torch.zeros(len(images), *size, dtype=torch.long, device=images.device)
        return F.cross_entropy(F.interpolate(self.model(images), size, mode="bilinear").float(), labels)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--gpus", nargs="+", type=int, default=[1, 2, 4, 8, 16], help="(default: 1 2 4 8 16)")
    return parser.parse_args(argv)


def settled(path: Path, gpus: int) -> tuple[Config, str]:
    """The config for this many GPUs, and the flag that makes it so."""
    cfg = read_config(path)
    if gpus == 1:
        return cfg, ""
    try:
        split_batch(cfg, gpus)
    except TotalBatchError:
        cfg = read_config(path)
        grow_batch(cfg, gpus)
        return cfg, "--grow-batch"
    return cfg, "--split-batch"


def image_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the training images."""
    dataset = cfg.train_dataloader.dataset
    pipeline = dataset.get("pipeline") or dataset.datasets[0].pipeline
    sizes: list[Any] = [step[SIDES[step["type"]]] for step in pipeline if step["type"] in SIDES]
    if not sizes:
        refuse(f"the training pipeline has none of {', '.join(SIDES)}: the size of the images is not known")
    return (sizes[-1], sizes[-1]) if isinstance(sizes[-1], int) else (min(sizes[-1]), max(sizes[-1]))


def updates(cfg: Config, gpus: int) -> int | None:
    """How many updates the training has; None for a data set of unknown size."""
    batch = batch_of(cfg, gpus)
    if "max_iters" in cfg.train_cfg:
        return cfg.train_cfg.max_iters // batch.accumulated
    dataset = cfg.train_dataloader.dataset
    known = f"{dataset.type} {dataset.get('ann_file')}"
    images = next((count for name, count in IMAGES.items() if name in known), None)
    return images and math.ceil(images / batch.total) * cfg.train_cfg.max_epochs


def memory(cfg: Config) -> tuple[float, float]:
    """GiB of one GPU, in float32 and in mixed precision."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    states = 1 if cfg.optim_wrapper.optimizer.type == "SGD" else 2
    whole = Scored(model) if cfg.default_scope == "mmseg" else model
    batch, side = cfg.train_dataloader.batch_size, image_size(cfg)
    full, half = (step_memory(whole, batch, side, states, half=half).total / GIB for half in (False, True))
    return full, half


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    table = Table("config", "GPUs", "flag", "per GPU", "images of an update", "updates", "GiB", "GiB with --amp")
    for path in args.configs:
        if not path.is_file():
            refuse(f"there is no config {path}")
        for gpus in args.gpus:
            cfg, flag = settled(path, gpus)
            batch, count = batch_of(cfg, gpus), updates(cfg, gpus)
            gib = [f"{amount:.1f}" for amount in memory(cfg)]
            told = "unknown" if count is None else f"{count:,}"
            table.add_row(path.name, str(gpus), flag, str(batch.per_rank), str(batch.total), told, *gib)
    wide_console().print(table)


if __name__ == "__main__":
    main()
