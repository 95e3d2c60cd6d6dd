"""Crops and flips of a picture together with its people, on numpy arrays.

People are rows of (x, y, mean distance to the nearest neighbours). The distance serves as the size of the head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.crowd.data.images import MEAN_COLOUR, Pixels

People = NDArray[np.float32]  # [N, 3]


def visible_share(
    people: People, left: int, top: int, width: int, height: int, head: tuple[float, float]
) -> NDArray[np.float32]:
    """The share of each head that lies in the crop, from 0 to 1.

    A head is a square around (x, y). Its side is the distance to the neighbours, within the bounds `head`.
    """
    side = people[:, 2].clip(*head)
    x, y = people[:, 0] - left, people[:, 1] - top
    seen_x = np.minimum(x + side / 2, width) - np.maximum(x - side / 2, 0)
    seen_y = np.minimum(y + side / 2, height) - np.maximum(y - side / 2, 0)
    return (seen_x.clip(min=0) * seen_y.clip(min=0) / side**2).astype(np.float32)


def crop(image: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """The window of this size; pixels beyond the image get the mean colour."""
    inside = image[top : top + height, left : left + width]
    window = np.empty((height, width, 3), dtype=np.uint8)
    window[:] = MEAN_COLOUR
    window[: inside.shape[0], : inside.shape[1]] = inside
    return window


def flip(image: Pixels, people: People) -> tuple[Pixels, People]:
    """Mirror left and right: x becomes width - x."""
    mirrored = people.copy()
    mirrored[:, 0] = image.shape[1] - people[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), mirrored
