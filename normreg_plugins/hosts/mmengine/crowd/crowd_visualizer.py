"""Draws density maps over their images, as a visualizer of mmengine."""

from __future__ import annotations

from pathlib import Path

from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer
from PIL import Image

from normreg_plugins.crowd.data import Pixels
from normreg_plugins.evaluation import overlay
from normreg_plugins.files import atomic_path
from normreg_plugins.hosts.mmengine.crowd.crowd_sample import CrowdSample


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
