"""What is said before training, and drawn during validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from normreg_plugins.crowd.images import read_rgb
from normreg_plugins.crowd.memory import GIB, step_memory
from normreg_plugins.crowd.mm.sample import CrowdSample

ADVICE = (
    "Too much? In this order: several GPUs with SyncBN keep both the batch and its statistics. "
    "AMP about halves the activations. Accumulation, as in train_dataloader.batch_size=8 with "
    "optim_wrapper.accumulative_counts=4, keeps the batch of an update, but each batch norm then "
    "sees 8 crops at a time: its batch statistics are noisier and its running ones move 4 times "
    "per update. That is another training; report it. Intervals of WRS count updates either way."
)


@HOOKS.register_module()
class CrowdMemoryHook(Hook):
    """Says before training how much memory a step will take, and what to do if that is too much.

    Args:
        crop: side of the training crops in pixels.
    """

    def __init__(self, crop: int) -> None:
        self.crop = crop

    def before_train(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        optimizer = runner.optim_wrapper.optimizer
        states = 1 if isinstance(optimizer, torch.optim.SGD) else 2
        batch = runner.train_dataloader.batch_size
        memory = step_memory(model.backbone, batch, self.crop, states)
        runner.logger.info(f"One training step, batch {batch} x {self.crop} px in float32: {memory}. {ADVICE}")
        device = next(model.parameters()).device
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if memory.total > free:
                runner.logger.warning(f"Only {free / GIB:.1f} GiB are free on {device}.")


@HOOKS.register_module()
class CrowdVisualizationHook(Hook):
    """Draws every n-th validation and test image with its density map.

    Args:
        interval: n.
    """

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval}")
        self.interval = interval

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[CrowdSample] | None = None,
    ) -> None:
        self._draw(runner, "val", batch_idx, outputs)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[CrowdSample] | None = None,
    ) -> None:
        self._draw(runner, "test", batch_idx, outputs)

    def _draw(self, runner: Runner, mode: str, batch_idx: int, outputs: Sequence[CrowdSample] | None) -> None:
        if batch_idx % self.interval or not outputs:
            return
        sample = outputs[0]
        image = read_rgb(sample.img_path)
        if image.shape[:2] == tuple(sample.img_shape):
            runner.visualizer.add_datasample(f"{mode}_{sample.name}", image, sample, step=runner.iter)
