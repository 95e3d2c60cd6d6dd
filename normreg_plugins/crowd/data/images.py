"""Reads pictures of every kind as 8-bit RGB arrays [H, W, 3]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Pixels = NDArray[np.uint8]
# What Pillow raises for damaged files. ImportError is among them because ultralytics registers a Pillow plug-in that is
# imported for files of unknown formats.
UNREADABLE = (OSError, ValueError, SyntaxError, ImportError, MemoryError, Image.DecompressionBombError)
ORIENTATION = 0x0112  # the EXIF tag
MEAN_COLOUR = (124, 116, 104)  # of ImageNet; it becomes zero when the input of the network is normalized


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
