"""Pictures whose pixels are labels: read, written, coloured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# What Pillow raises on torn files; once ultralytics is imported, it asks for a plug-in for what is no picture at all.
UNREADABLE = (OSError, SyntaxError, ValueError, ImportError)
IGNORED = 255
"""The label of pixels that do not count."""

Labels = NDArray[np.integer[Any]]


class MaskError(ValueError):
    """A mask that cannot be what it is taken for."""


def read_mask(path: Path) -> Labels:
    """The labels in a picture of one channel, with a palette or without."""
    with Image.open(path) as picture:
        if picture.mode not in ("L", "P"):
            raise MaskError(f"{path} is a picture of mode {picture.mode}, not of one label per pixel (L or P)")
        return np.asarray(picture)


def save_mask(labels: NDArray[np.uint8], path: Path, palette: Sequence[Sequence[int]] | None = None) -> None:
    """A PNG of the labels that viewers show in colours, VOC's unless told; whole or not at all."""
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette([level for colour in palette or voc_palette() for level in colour])
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    picture.save(unfinished, format="PNG")
    unfinished.replace(path)


def voc_palette() -> list[tuple[int, int, int]]:
    """VOC's 256 colours: bits 0, 3, 6 of the label are the highest bits of red, bits 1, 4, 7 of green, 2, 5 of blue."""

    def level(label: int, first: int) -> int:
        return sum((label >> (first + 3 * place) & 1) << (7 - place) for place in range(3) if first + 3 * place < 8)

    return [(level(label, 0), level(label, 1), level(label, 2)) for label in range(256)]
