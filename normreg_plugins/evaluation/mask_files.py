"""Reads and writes masks: PNG pictures whose pixels are class labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from normreg_plugins.crowd.data import UNREADABLE
from normreg_plugins.files import atomic_path

__all__ = ["IGNORED", "UNREADABLE", "Labels", "MaskError", "read_mask", "save_mask", "voc_palette"]

IGNORED = 255
"""The label of pixels that do not count."""

Labels = NDArray[np.integer[Any]]


class MaskError(ValueError):
    """A mask that cannot be used."""


def read_mask(path: Path) -> Labels:
    """The labels in a picture of one channel, with or without a palette."""
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P"):
                raise MaskError(f"{path} is a picture of mode {picture.mode}, not of one label per pixel (L or P)")
            return np.asarray(picture)
    except (FileNotFoundError, MaskError):
        raise
    except UNREADABLE as error:
        raise MaskError(f"{path}: cannot be read as a picture: {error}") from error


def save_mask(labels: NDArray[np.uint8], path: Path, palette: Sequence[Sequence[int]] | None = None) -> None:
    """Write the labels as a PNG with a palette, so that viewers show colours. Default: the palette of PASCAL VOC."""
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette(np.asarray(palette or voc_palette(), dtype=np.uint8).tobytes())
    with atomic_path(path) as unfinished:
        picture.save(unfinished, format="PNG")


def voc_palette() -> list[list[int]]:
    """The 256 colours of PASCAL VOC, as (red, green, blue).

    Bits 0, 3, 6 of the label are the highest bits of red; bits 1, 4, 7 those of green; bits 2, 5 those of blue.
    """
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return np.hstack([np.packbits(bits[:, first::3], axis=1) for first in range(3)]).tolist()
