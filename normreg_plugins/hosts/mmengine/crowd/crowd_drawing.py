"""Drawings of predicted density maps over their images: a visualizer of mmengine, and the hook that calls it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS, VISUALIZERS
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from PIL import Image

from normreg_plugins.crowd.data import Pixels, read_rgb, resize
from normreg_plugins.evaluation import overlay
from normreg_plugins.files import atomic_path
from normreg_plugins.hosts.mmengine.crowd.crowd_data import CrowdSample


@VISUALIZERS.register_module()
class CrowdVisualizer(Visualizer):
    """Draws the predicted density over the image, with the counts in the title."""

    def add_datasample(
        self,
        name: str,
        image: Pixels,
        data_sample: CrowdSample,
        step: int = 0,
        show: bool = False,
        wait_time: float = 0.0,
        out_file: str | None = None,
    ) -> None:
        """Draw one predicted sample (image RGB) for all backends, or only into `out_file` if it is given."""
        title = f"predicted {data_sample.predicted_count:.1f}"
        if "count" in data_sample.metainfo:
            title += f", annotated {data_sample.count}"
        picture = overlay(image, data_sample.density.cpu().numpy(), title)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, picture, step)
            return
        with atomic_path(Path(out_file)) as unfinished:
            Image.fromarray(picture).save(unfinished)


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
