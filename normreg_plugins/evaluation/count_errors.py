"""Errors of predicted counts: MAE, RMSE, errors by density, and the grid error (GAME)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normreg_plugins.crowd.network import STRIDE


@dataclass(frozen=True)
class CountErrors:
    """Errors over a set of images. Crowd papers call `rmse`, which is a root, 'MSE'."""

    images: int
    mae: float
    rmse: float
    bias: float  # mean of predicted - true

    def __str__(self) -> str:
        return f"MAE {self.mae:.2f}, RMSE ('MSE') {self.rmse:.2f}, bias {self.bias:+.2f}"


def count_errors(predicted: ArrayLike, true: ArrayLike) -> CountErrors:
    predicted, true = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    if predicted.shape != true.shape or true.ndim != 1 or not true.size:
        raise ValueError(f"counts must be two equally long lists, not empty: got {predicted.shape} and {true.shape}")
    error = predicted - true
    return CountErrors(
        images=len(error),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.square(error).mean())),
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


def grid_error(
    density: NDArray[np.floating],
    points: NDArray[np.floating],
    width: int,
    height: int,
    level: int,
    stride: int = STRIDE,
) -> float:
    """The absolute count errors of 2^level x 2^level equal parts of a picture, summed. GAME is its mean over pictures.

    A part may end within a cell. The density of a cell is spread evenly over the pixels of the picture that it covers.
    """
    parts = 2**level
    columns = _shares(density.shape[1], stride, width, parts)
    rows = _shares(density.shape[0], stride, height, parts)
    predicted = rows @ density @ columns.T
    x = np.minimum(points[:, 0] * parts // width, parts - 1).astype(int)
    y = np.minimum(points[:, 1] * parts // height, parts - 1).astype(int)
    true = np.zeros((parts, parts))
    np.add.at(true, (y, x), 1)
    return float(np.abs(predicted - true).sum())


def _shares(cells: int, stride: int, length: int, parts: int) -> NDArray[np.float64]:
    """The share of each cell that lies in each part of an axis: [parts, cells]."""
    if cells != -(-length // stride):
        raise ValueError(f"{cells} cells of {stride} pixels do not make a map of {length} pixels")
    start = np.arange(cells) * stride
    end = np.minimum(start + stride, length)
    edges = np.linspace(0, length, parts + 1)
    overlap = np.minimum(end, edges[1:, None]) - np.maximum(start, edges[:-1, None])
    return overlap.clip(min=0) / (end - start)
