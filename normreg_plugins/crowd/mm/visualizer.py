"""Density maps over their images, in mmengine's visualizer."""

from __future__ import annotations

from pathlib import Path

import cv2
from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer

from normreg_plugins.crowd.images import Pixels
from normreg_plugins.crowd.mm.sample import CrowdSample
from normreg_plugins.crowd.render import overlay


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
        """Draw one predicted sample (image RGB) for all backends, or into `out_file` instead."""
        title = f"predicted {data_sample.predicted_count:.1f}"
        if "count" in data_sample.metainfo:
            title += f", annotated {data_sample.count}"
        picture = overlay(image, data_sample.density.cpu().numpy(), title)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is None:
            self.add_image(name, picture, step)
            return
        Path(out_file).parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(out_file, picture[:, :, ::-1]):
            raise OSError(f"{out_file} could not be written")
