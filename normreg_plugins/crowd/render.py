"""Pictures of predictions."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from normreg_plugins.crowd.csrnet import STRIDE
from normreg_plugins.crowd.images import Pixels

INK, PAPER = (0, 0, 0), (255, 255, 255)
LEAST_WIDTH = 320  # of the result, so that its title can be read


def overlay(image: Pixels, density: NDArray[np.float32], title: str) -> Pixels:
    """The image (RGB) with its density map over it, under a line of text."""
    height, width = image.shape[:2]
    covered = cv2.resize(
        density,
        (density.shape[1] * STRIDE, density.shape[0] * STRIDE),
        interpolation=cv2.INTER_LINEAR,
    )[:height, :width].clip(min=0)
    strength = covered / max(float(covered.max()), 1e-12)
    colours = cv2.applyColorMap((255 * strength).astype(np.uint8), cv2.COLORMAP_JET)[:, :, ::-1]
    weight = (0.7 * np.sqrt(strength))[:, :, None]  # the root shows sparse people too
    blended = (1 - weight) * image + weight * colours
    return _with_title(blended.astype(np.uint8), title)


def _with_title(image: Pixels, title: str) -> Pixels:
    width = max(image.shape[1], LEAST_WIDTH)
    scale = width / 640
    (text_width, text_height), base = cv2.getTextSize(title, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    if text_width > 0.96 * width:
        scale *= 0.96 * width / text_width
    band = np.full((2 * text_height + base, width, 3), PAPER, dtype=np.uint8)
    thickness = max(1, round(2 * scale))
    place = (width // 50, text_height + text_height // 2)
    cv2.putText(band, title, place, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, thickness, cv2.LINE_AA)
    canvas = np.full((image.shape[0], width, 3), PAPER, dtype=np.uint8)
    canvas[:, : image.shape[1]] = image
    return np.concatenate([band, canvas])
