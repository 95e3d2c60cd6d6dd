"""The size in which a picture is trained on and counted, and resizing to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.crowd.data.images import Pixels

SHORTER_SIDE = (512, 2048)
LONGEST_SIDE = 2**14  # eight times the largest shorter side


def checked_bounds(shorter_side: tuple[int, int]) -> tuple[int, int]:
    least, most = shorter_side
    if not 1 <= least <= most:
        raise ValueError(f"bounds of the shorter side must be 1 <= least <= most, got {shorter_side}")
    return least, most


def bounded_size(width: int, height: int, shorter_side: tuple[int, int] = SHORTER_SIDE) -> tuple[int, int]:
    """The width and height, in the same proportion, whose shorter side is within the bounds.

    The longer side never exceeds LONGEST_SIDE. For very long pictures the shorter side is then below
    its bound: a picture of 10 x 3000 pixels would otherwise become 512 x 153,600.
    """
    least, most = checked_bounds(shorter_side)
    shorter = min(width, height)
    scale = min(max(shorter, least), most) / shorter
    scale = min(scale, LONGEST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize to (width, height) by bicubic interpolation."""
    import cv2

    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def resize_points(points: NDArray[np.float32], old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float32]:
    """Move points (x, y) along with a picture that is resized from `old` to `new`; they stay inside the picture."""
    scaled = points * (np.array(new) / np.array(old))
    return scaled.clip(0, new).astype(np.float32)
