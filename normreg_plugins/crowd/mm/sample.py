"""What is known of one picture on its way through mmengine."""

from __future__ import annotations

from mmengine.structures import BaseDataElement


class CrowdSample(BaseDataElement):
    """People, and what the network makes of them.

    Data fields: `points` [N, 2] and `targets` [N] of the crop or picture; after prediction `density`
    [H, W] and `predicted_count`. Meta information: `name`, `img_path`, `img_shape` (height and
    width), `shorter_side` of the whole picture, `count` of the people annotated in it.
    """
