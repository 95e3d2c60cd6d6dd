"""Logs the memory of a training step before training; draws predictions during validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from normreg_plugins.crowd.data import read_rgb, resize
from normreg_plugins.crowd.network import GIB, step_memory
from normreg_plugins.hosts.mmengine.crowd.crowd_sample import CrowdSample

ADVICE = (
    "If that is too much, there are three ways, in this order. Several GPUs share the batch: tools/dist_train.sh "
    "CONFIG GPUS --split-batch. AMP about halves the activations: --amp. Accumulation keeps the batch of an update: "
    "--split-batch --cfg-options optim_wrapper.accumulative_counts=4. But then batch norm sees a quarter of the batch "
    "at a time: its batch statistics are noisier and its running statistics move 4 times per update. This changes the "
    "training, so report it. The interval of WRS counts updates in each case."
)


@HOOKS.register_module()
class CrowdMemoryHook(Hook):
    """Logs before training how much memory a step takes on one GPU, and what to do if that is too much.

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
        runner.logger.info(f"One training step, {batch} x {self.crop} px on each GPU in float32: {memory}. {ADVICE}")
        device = next(model.parameters()).device
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if memory.total > free:
                runner.logger.warning(f"Only {free / GIB:.1f} GiB are free on {device}.")


@HOOKS.register_module()
class CrowdVisualizationHook(Hook):
    """Draws every n-th validation and test image with its density map and its count.

    The arguments are those of the visualization hooks of mmdet and mmseg, so that tools/test.py --show-dir works.

    Args:
        draw: whether to draw at all.
        interval: n.
        show: also open a window for each image, for `wait_time` seconds.
        test_out_dir: folder for test images, beside the log. Default: the backends of the visualizer.
    """

    def __init__(
        self,
        draw: bool = True,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        test_out_dir: str | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1, got {interval}")
        self.draw = draw
        self.interval = interval
        self.show = show
        self.wait_time = wait_time
        self.test_out_dir = test_out_dir

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[CrowdSample] | None = None,
    ) -> None:
        self._draw(runner, "val", batch_idx, outputs or ())

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[CrowdSample] | None = None,
    ) -> None:
        folder = self.test_out_dir and Path(runner.log_dir) / self.test_out_dir
        self._draw(runner, "test", batch_idx, outputs or (), folder)

    def _draw(
        self,
        runner: Runner,
        mode: str,
        batch_idx: int,
        outputs: Sequence[CrowdSample],
        folder: Path | str | None = None,
    ) -> None:
        if not self.draw or batch_idx % self.interval:
            return
        for sample in outputs:
            image = read_rgb(sample.img_path)
            image = resize(image, (sample.img_shape[1], sample.img_shape[0]))
            runner.visualizer.add_datasample(
                f"{mode}_{sample.name}",
                image,
                sample,
                step=runner.iter,
                show=self.show,
                wait_time=self.wait_time,
                out_file=folder and str(Path(folder) / f"{sample.name}.png"),
            )
