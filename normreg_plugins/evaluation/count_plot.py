"""Draws predicted counts against true ones, the error by density, and the worst or best pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normreg_plugins.crowd.data import Pixels
from normreg_plugins.evaluation.bar_plot import draw_bars
from normreg_plugins.evaluation.count_errors import bands, count_errors
from normreg_plugins.evaluation.density_overlay import overlay
from normreg_plugins.plots import MARKERS, OKABE_ITO, POINT, new_figure, save


@dataclass(frozen=True)
class CountedImage:
    """One image, its people, and the density map of each run; None where a run saved none."""

    name: str
    image: Pixels
    points: NDArray[np.floating[Any]]
    """x and y of each person."""
    counts: Mapping[str, float]
    densities: Mapping[str, NDArray[np.float32] | None]


def plot_counts(runs: Mapping[str, ArrayLike], true: ArrayLike, edges: Sequence[float], path: Path) -> None:
    """Write a picture: on the left a point for each image, on the right the MAE in bands of true counts."""
    figure = new_figure(10, 4.6)
    points, bars = figure.subplots(1, 2)
    counts = np.asarray(true, dtype=float)
    most = max(counts.max(), *(np.max(predicted) for predicted in runs.values()), 1)
    points.plot([0, most], [0, most], color="black", linewidth=0.8, label="equal")
    for index, (name, predicted) in enumerate(runs.items()):
        looks = {"color": OKABE_ITO[index % 7], "marker": MARKERS[index % 7]}
        points.scatter(counts, predicted, s=18, alpha=0.6, linewidth=0, label=name, **looks)
    least = min(0.0, *(float(np.min(predicted)) for predicted in runs.values()))
    for axis in ("x", "y"):
        _scale_of_counts(points, axis, least, 1.2 * most)
    points.set_xlabel("true count", fontsize=9)
    points.set_ylabel("predicted count", fontsize=9)
    points.legend(frameon=False, fontsize=8)
    points.grid(alpha=0.25)
    _draw_bands(bars, runs, counts, edges)
    save(figure, path)


def _scale_of_counts(ax: Any, axis: str, least: float, most: float) -> None:
    """Logarithmic from 1 on, which leaves room for pictures of nobody."""
    ticks = [0, *(10**power for power in range(int(np.log10(most)) + 1))]
    getattr(ax, f"set_{axis}scale")("symlog", linthresh=1, linscale=0.4)
    getattr(ax, f"set_{axis}lim")(least - 0.2, most)
    getattr(ax, f"set_{axis}ticks")(ticks, [f"{tick:,}" for tick in ticks], fontsize=8)


def _draw_bands(ax: Any, runs: Mapping[str, ArrayLike], true: NDArray[np.float64], edges: Sequence[float]) -> None:
    groups = {"all": np.full(len(true), True), **{name: mask for name, mask in bands(true, edges) if mask.any()}}
    errors = {
        run: [count_errors(np.asarray(predicted)[mask], true[mask]).mae for mask in groups.values()]
        for run, predicted in runs.items()
    }
    draw_bars(ax, errors, [f"{name} ({mask.sum()})" for name, mask in groups.items()])
    ax.set_title("MAE in bands of the true count (images)", fontsize=10)


def worst(predicted: ArrayLike, true: ArrayLike, number: int) -> list[int]:
    """The places of the images with the largest absolute errors, the largest first."""
    return np.argsort(-_errors(predicted, true), kind="stable")[:number].tolist()


def best(predicted: ArrayLike, true: ArrayLike, number: int) -> list[int]:
    """The places of the images with the smallest absolute errors, the smallest first."""
    return np.argsort(_errors(predicted, true), kind="stable")[:number].tolist()


def _errors(predicted: ArrayLike, true: ArrayLike) -> NDArray[np.float64]:
    return np.abs(np.asarray(predicted, dtype=float) - np.asarray(true, dtype=float))


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
