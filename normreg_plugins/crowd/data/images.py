"""Pictures as 8-bit RGB arrays [H, W, 3]: reading, resizing, cropping and flipping them, with the people in them.

People are rows of (x, y, mean distance to the nearest neighbours). The distance serves as the size of the head.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.uint8]
People = NDArray[np.float32]  # [N, 3]
# What Pillow raises for damaged files. ImportError is among them because ultralytics registers a Pillow plug-in that is
# imported for files of unknown formats.
UNREADABLE = (OSError, ValueError, SyntaxError, ImportError, MemoryError, Image.DecompressionBombError)
ORIENTATION = 0x0112  # the EXIF tag
MEAN_COLOUR = (124, 116, 104)  # of ImageNet; it becomes zero when the input of the network is normalized
SHORTER_SIDE = (512, 2048)
LONGEST_SIDE = 2**14  # eight times the largest shorter side


class UnreadableImageError(ValueError):
    """A file that cannot be read as a picture."""


def read_rgb(path: Path | str, upright: bool = False) -> Pixels:
    """Read a grey, palette, CMYK, 16-bit, transparent or RGB picture as RGB.

    Args:
        upright: turn the picture as its EXIF tag says, as viewers do. Annotated coordinates usually
            refer to the pixels as they are stored.
    """
    try:
        with Image.open(path) as image:
            image.load()
            turned = ImageOps.exif_transpose(image) if upright else image
            return np.array(_eight_bit(turned).convert("RGB"))
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise UnreadableImageError(f"{path}: cannot be read as a picture: {error}") from error


def stored_rotated(path: Path | str) -> bool:
    """Whether the EXIF tag asks viewers to turn or mirror the picture."""
    with Image.open(path) as image:
        return image.getexif().get(ORIENTATION, 1) != 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips at 255."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("the pixels are floating-point numbers of unknown range; save it with 8 or 16 bits")
    return image


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


def bounded(image: Pixels, shorter_side: tuple[int, int]) -> Pixels:
    """The picture with its shorter side within the bounds."""
    return resize(image, bounded_size(image.shape[1], image.shape[0], shorter_side))


def resize_points(points: NDArray[np.float32], old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float32]:
    """Move points (x, y) along with a picture that is resized from `old` to `new`; they stay inside the picture."""
    scaled = points * (np.array(new) / np.array(old))
    return scaled.clip(0, new).astype(np.float32)


def crop(image: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """The window of this size; pixels beyond the image get the mean colour."""
    inside = image[top : top + height, left : left + width]
    window = np.empty((height, width, 3), dtype=np.uint8)
    window[:] = MEAN_COLOUR
    window[: inside.shape[0], : inside.shape[1]] = inside
    return window


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


def flip(image: Pixels, people: People) -> tuple[Pixels, People]:
    """Mirror left and right: x becomes width - x."""
    mirrored = people.copy()
    mirrored[:, 0] = image.shape[1] - people[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), mirrored
