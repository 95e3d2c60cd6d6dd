"""Draws many small pictures of a data set with their labels, so that one sees what was prepared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.crowd.data import Pixels
from normreg_plugins.evaluation import Labels, Palette, coloured, voc_palette
from normreg_plugins.plots import OKABE_ITO, POINT, new_figure, save

SIDE = 2.3
"""Of a picture on the sheet, in inches."""
MASK_OPACITY = 0.55


@dataclass(frozen=True)
class Labelled:
    """One image and the labels it has: boxes, points, a mask, or none."""

    title: str
    image: Pixels
    boxes: Sequence[tuple[Sequence[float], str]] = ()
    """Each as x, y, width, height, and the name of its class."""
    points: NDArray[np.floating[Any]] = field(default_factory=lambda: np.zeros((0, 2)))
    mask: Labels | None = None


def plot_sheet(images: Sequence[Labelled], path: Path, *, palette: Palette | None = None, columns: int = 4) -> None:
    """Write a picture of all images in rows.

    Args:
        palette: the colour of each label of a mask (default: that of PASCAL VOC).
    """
    if not images:
        raise ValueError("there is no image to draw")
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    figure = new_figure(SIDE * columns, (SIDE + 0.2) * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    classes = sorted({name for each in images for _, name in each.boxes})
    colours = {name: OKABE_ITO[place % len(OKABE_ITO)] for place, name in enumerate(classes)}
    for ax, each in zip(axes, images, strict=False):
        _draw(ax, each, palette or voc_palette(), colours)
    for ax in axes:
        ax.set_axis_off()
    save(figure, path, photographs=True)


def _draw(ax: Any, each: Labelled, palette: Palette, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Rectangle

    ax.imshow(each.image if each.mask is None else _under_mask(each.image, each.mask, palette))
    for (x, y, width, height), name in each.boxes:
        colour = colours[name]
        for shade, thick in (("white", 2.2), (colour, 1.2)):
            ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=shade, linewidth=thick))
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        ax.text(x, y, name, fontsize=5.5, color=colour, va="bottom", bbox=ground, clip_on=True)
    if len(each.points):
        ax.scatter(each.points[:, 0], each.points[:, 1], **POINT)
    ax.set_title(each.title, fontsize=7)


def _under_mask(image: Pixels, mask: Labels, palette: Palette) -> Pixels:
    """The image with the colours of the mask over it; pixels of label 0, the background, stay as they are."""
    opacity = np.where(mask == 0, 0.0, MASK_OPACITY)[..., None]
    return ((1 - opacity) * image + opacity * coloured(mask, palette)).astype(np.uint8)
