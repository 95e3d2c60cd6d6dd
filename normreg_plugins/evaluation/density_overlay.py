"""Draws a density map over its image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.crowd.data import Pixels
from normreg_plugins.crowd.network import STRIDE

DPI = 128  # a power of two, so that a size in inches gives exactly the pixels wanted
LEAST_WIDTH = 320  # pixels; in a narrower picture the title could not be read


def overlay(image: Pixels, density: NDArray[np.float32], title: str) -> Pixels:
    """The image (RGB) with its density map over it, under a line of text."""
    from matplotlib.figure import Figure

    height, width = image.shape[:2]
    full_width = max(width, LEAST_WIDTH)
    band = full_width // 12  # the height of the title
    figure = Figure(figsize=(full_width / DPI, (height + band) / DPI), dpi=DPI)
    figure.text(0.02, 1 - band / 2 / (height + band), title, fontsize=0.45 * band * 72 / DPI, va="center")
    axes = figure.add_axes((0, 0, width / full_width, height / (height + band)))
    axes.imshow(image)
    strength = density.clip(min=0) / max(float(density.max()), 1e-12)
    rows, columns = density.shape
    axes.imshow(
        strength,
        cmap="jet",
        alpha=0.7 * np.sqrt(strength),  # the square root makes sparse people visible too
        extent=(0, columns * STRIDE, rows * STRIDE, 0),
        interpolation="bilinear",
    )
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return _pixels(figure)


def _pixels(figure: Any) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()
