"""A folder of JPEGs in the layout of the public CIFAR-10 repository: each class has a colour of its own."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image

from research.prepare_cifar_jpeg import CLASSES


def write_pictures(raw: Path, train: int, test: int, side: int = 32) -> Path:
    """So many pictures of each class. Noise makes each of them another one."""
    noise = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for label, name in enumerate(CLASSES):
            folder = raw / split / name
            folder.mkdir(parents=True)
            colour = 200 * np.array(colorsys.hsv_to_rgb(label / len(CLASSES), 0.9, 0.9))
            for number in range(count):
                pixels = colour + noise.integers(0, 50, (side, side, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:04d}.jpg", quality=90)
    return raw
