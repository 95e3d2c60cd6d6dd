"""Draws a density map over its image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from normreg_plugins.crowd.data import Pixels
from normreg_plugins.crowd.network import STRIDE

LEAST_WIDTH = 320  # pixels; in a narrower picture the title could not be read


def overlay(image: Pixels, density: NDArray[np.float32], title: str | None) -> Pixels:
    """The image (RGB) with its density map over it, under a line of text if there is a title."""
    from matplotlib import colormaps

    height, width = image.shape[:2]
    rows, columns = density.shape
    cells = Image.fromarray(density.astype(np.float32).clip(min=0))
    pixels = cells.resize((columns * STRIDE, rows * STRIDE), Image.Resampling.BILINEAR)
    strength = np.asarray(pixels)[:height, :width] / max(float(density.max()), 1e-12)
    colours = colormaps["plasma"](strength, bytes=True)[..., :3]
    opacity = 0.7 * np.sqrt(strength)[..., None]  # the square root makes sparse people visible too
    mixed = (1 - opacity) * image + opacity * colours
    return mixed.astype(np.uint8) if title is None else _with_title(mixed, title)


def _with_title(image: NDArray[np.float32], title: str) -> Pixels:
    height, width = image.shape[:2]
    full_width = max(width, LEAST_WIDTH)
    band = full_width // 12
    canvas = Image.new("RGB", (full_width, height + band), "white")
    canvas.paste(Image.fromarray(image.astype(np.uint8)), (0, band))
    font = ImageFont.load_default(size=0.5 * band)
    ImageDraw.Draw(canvas).text((band // 4, band // 2), title, "black", font, anchor="lm")
    return np.array(canvas)
