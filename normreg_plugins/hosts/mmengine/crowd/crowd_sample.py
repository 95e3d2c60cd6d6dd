"""The data element of crowd counting in mmengine: one picture's people and prediction."""

from __future__ import annotations

from mmengine.structures import BaseDataElement


class CrowdSample(BaseDataElement):
    """The people in a picture or crop, and the prediction for it.

    Data fields: `points` [N, 2] and `targets` [N]; after prediction also `density` [H, W] and `predicted_count`.
    Meta information: `name`, `img_path`, `img_shape` (height and width), `shorter_side` of the whole picture, `count`
    of the people annotated in it.
    """
