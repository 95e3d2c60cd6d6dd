"""A hook of mmengine that draws predicted density maps over their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from PIL import Image

from normreg_plugins.crowd.data.images import Pixels, read_rgb, resize
from normreg_plugins.evaluation.counting import overlay
from normreg_plugins.files import atomic_path
from normreg_plugins.hosts.mmengine.crowd.crowd_data import CrowdSample


@HOOKS.register_module()
class CrowdVisualizationHook(Hook):
    """Draws every n-th validation and test image with its density map, and its counts in the title.

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
        self.draw, self.interval, self.show, self.wait_time = draw, interval, show, wait_time
        self.test_out_dir = test_out_dir

    def _after_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None, mode: str = "train"
    ) -> None:
        if mode == "train" or not self.draw or batch_idx % self.interval:
            return
        samples: Sequence[CrowdSample] = outputs or ()
        for sample in samples:
            picture = drawing_of(sample)
            if self.show:
                runner.visualizer.show(picture, win_name=sample.name, wait_time=self.wait_time)
            if mode == "val" or self.test_out_dir is None:
                runner.visualizer.add_image(f"{mode}_{sample.name}", picture, runner.iter)
            else:
                with atomic_path(Path(runner.log_dir, self.test_out_dir, f"{sample.name}.png")) as unfinished:
                    Image.fromarray(picture).save(unfinished)


def drawing_of(sample: CrowdSample) -> Pixels:
    image = resize(read_rgb(sample.img_path), (sample.img_shape[1], sample.img_shape[0]))
    annotated = f", annotated {sample.count}" if "count" in sample.metainfo else ""
    return overlay(image, sample.density.cpu().numpy(), f"predicted {sample.predicted_count:.1f}{annotated}")
