"""Counting: saved counts and density maps, their errors (MAE, RMSE, by density), and pictures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from normreg_plugins.crowd.data.images import Pixels
from normreg_plugins.crowd.network import STRIDE
from normreg_plugins.files import DamagedFileError, atomic_path, read_json, read_numbers, write_json
from normreg_plugins.plots import POINT, new_figure, save

FILE = "predictions.json"
"""The saved counts of a data set; the density maps stand beside it as `NAME.npy`."""
LEAST_WIDTH = 320
"""Of a density overlay in pixels; in a narrower picture the title could not be read."""


@dataclass(frozen=True)
class CountErrors:
    """Errors over a set of images. Crowd papers call `rmse`, which is a root, 'MSE'.

    `nae` is the mean of |error| / true count over the images with people, 0 if there are none.
    """

    images: int
    mae: float
    rmse: float
    nae: float
    bias: float  # mean of predicted - true

    def __str__(self) -> str:
        return f"MAE {self.mae:.2f}, RMSE ('MSE') {self.rmse:.2f}, NAE {self.nae:.4f}, bias {self.bias:+.2f}"


def count_errors(predicted: ArrayLike, true: ArrayLike) -> CountErrors:
    predicted, true = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    if predicted.shape != true.shape or true.ndim != 1 or not true.size:
        raise ValueError(f"counts must be two equally long lists, not empty: got {predicted.shape} and {true.shape}")
    error = predicted - true
    people = true > 0
    return CountErrors(
        images=len(error),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.square(error).mean())),
        nae=float((np.abs(error[people]) / true[people]).mean()) if people.any() else 0.0,
        bias=float(error.mean()),
    )


def bands(true: ArrayLike, edges: Sequence[float]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Name and mask of each band of true counts: below the first edge, between edges, from the last edge on."""
    if list(edges) != sorted(set(edges)):
        raise ValueError(f"band edges must rise, got {list(edges)}")
    counts = np.asarray(true, dtype=float)
    limits = [-np.inf, *edges, np.inf]
    names = [f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges))]
    names.append(f"from {edges[-1]:g}")
    return [
        (name, (counts >= low) & (counts < high)) for name, (low, high) in zip(names, pairwise(limits), strict=True)
    ]


def save_map(folder: Path, name: str, density: NDArray[np.float32]) -> None:
    with atomic_path(folder / f"{name}.npy") as unfinished:
        np.save(unfinished, density)


def save_counts(folder: Path, counts: Mapping[str, float]) -> None:
    write_json(folder / FILE, {"counts": dict(counts)})


def load_counts(folder: Path) -> dict[str, float]:
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; tools/test.py writes it, see docs/crowd.md")
    content = read_json(path)
    counts = content.get("counts") if isinstance(content, dict) else None
    if not isinstance(counts, dict) or not all(isinstance(count, int | float) for count in counts.values()):
        raise DamagedFileError(f"{path} has no counts of people; tools/test.py writes it, see docs/crowd.md")
    return counts


def load_map(folder: Path, name: str) -> NDArray[np.float32] | None:
    """The density map of an image, or None if it was not saved."""
    path = folder / f"{name}.npy"
    return read_numbers(path) if path.is_file() else None


@dataclass(frozen=True)
class CountedImage:
    """One image, its people, and the density map of each run; None where a run saved none."""

    name: str
    image: Pixels
    points: NDArray[np.floating[Any]]
    """x and y of each person."""
    counts: Mapping[str, float]
    densities: Mapping[str, NDArray[np.float32] | None]


def ranked(predicted: ArrayLike, true: ArrayLike, *, best: bool) -> list[int]:
    """The places of the images in the order of their absolute errors: the smallest first, or the largest."""
    errors = np.abs(np.asarray(predicted, dtype=float) - np.asarray(true, dtype=float))
    return np.argsort(errors if best else -errors, kind="stable").tolist()


def plot_counted_images(images: Sequence[CountedImage], path: Path) -> None:
    """Write a picture with a row for each image: its true points, then the density map of each run."""
    runs = list(images[0].counts)
    heights = [each.image.shape[0] / each.image.shape[1] for each in images]
    figure = new_figure(3.2 * (1 + len(runs)), 3.2 * sum(heights) + 0.4 * len(images))
    grid = figure.subplots(len(images), 1 + len(runs), squeeze=False, height_ratios=heights)
    for each, (first, *others) in zip(images, grid, strict=True):
        first.imshow(each.image)
        first.scatter(*each.points[:, :2].T, **POINT)
        first.set_title(f"{each.name}: {len(each.points)} true", fontsize=8)
        for ax, run in zip(others, runs, strict=True):
            density = each.densities[run]
            ax.imshow(each.image if density is None else overlay(each.image, density, title=None))
            ax.set_title(f"{run}: {each.counts[run]:.1f} ({each.counts[run] - len(each.points):+.1f})", fontsize=8)
    for ax in grid.flat:
        ax.set_axis_off()
    save(figure, path, photographs=True)


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
