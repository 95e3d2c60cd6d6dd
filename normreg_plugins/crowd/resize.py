"""The size at which a picture is trained and counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.crowd.images import Pixels

SHORTER_SIDE = (512, 2048)
LONGEST_SIDE = 2**14  # eight times the bound of the shorter one


def checked_bounds(shorter_side: tuple[int, int]) -> tuple[int, int]:
    least, most = shorter_side
    if not 1 <= least <= most:
        raise ValueError(f"bounds of the shorter side must be 1 <= least <= most, got {shorter_side}")
    return least, most


def bounded_size(width: int, height: int, shorter_side: tuple[int, int] = SHORTER_SIDE) -> tuple[int, int]:
    """The size, in proportion, whose shorter side is within the bounds: width and height.

    The protocol leaves the longer side free. But a strip of 10 x 3000 pixels, enlarged to 512,
    would be 150,000 long; beyond LONGEST_SIDE the lower bound gives way.
    """
    least, most = checked_bounds(shorter_side)
    shorter = min(width, height)
    scale = min(max(shorter, least), most) / shorter
    scale = min(scale, LONGEST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """To width and height, by bicubic interpolation."""
    import cv2

    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def resize_points(points: NDArray[np.float32], old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float32]:
    """Points (x, y) moved along with a picture from size `old` to `new`, and kept inside."""
    scaled = points * (np.array(new) / np.array(old))
    return scaled.clip(0, new).astype(np.float32)
