"""Head positions: from MATLAB files, checked, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
NEIGHBOURS = 3


class AnnotationError(ValueError):
    """An annotation file that does not hold points."""


def read_qnrf_points(path: Path | str) -> Points:
    """`annPoints` of a UCF-QNRF file: rows of (x, y) in pixels."""
    content = _read_mat(path)
    if "annPoints" not in content:
        names = [name for name in content if not name.startswith("__")]
        raise AnnotationError(f"{path}: no 'annPoints'; the file holds {names}")
    return _as_points(content["annPoints"], path)


def read_shanghaitech_points(path: Path | str) -> Points:
    """`image_info{1}.location` of a ShanghaiTech file: rows of (x, y) in pixels."""
    content = _read_mat(path)
    if "image_info" not in content:
        names = [name for name in content if not name.startswith("__")]
        raise AnnotationError(f"{path}: no 'image_info'; the file holds {names}")
    try:
        location = content["image_info"].reshape(-1)[0].reshape(-1)[0]["location"]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{path}: 'image_info' has no 'location' where it should") from error
    return _as_points(location, path)


@dataclass(frozen=True)
class CleanPoints:
    """Points inside the picture, and how many of the others there were."""

    points: Points
    outside: int
    not_finite: int
    duplicates: int  # kept: two people may well have been marked at one pixel


def clean_points(points: Points, width: int, height: int) -> CleanPoints:
    """Drop points that are no numbers or outside [0, width] x [0, height]."""
    finite = np.isfinite(points).all(1)
    numbers = points[finite]
    inside = ((numbers >= 0) & (numbers <= (width, height))).all(1)
    kept = numbers[inside]
    return CleanPoints(
        points=kept,
        outside=int((~inside).sum()),
        not_finite=int((~finite).sum()),
        duplicates=len(kept) - len(np.unique(kept, axis=0)),
    )


def neighbour_distances(points: Points) -> NDArray[np.float32]:
    """Mean distance of each point to its 3 nearest neighbours, or to all others where fewer exist.

    A lone point has none: infinity, which every bound on head sizes brings down to its maximum.
    """
    from scipy.spatial import cKDTree

    count = min(NEIGHBOURS, len(points) - 1)
    if count < 1:
        return np.full(len(points), np.inf, dtype=np.float32)
    distances, _ = cKDTree(points).query(points, k=count + 1)
    return distances[:, 1:].mean(1).astype(np.float32)


def _read_mat(path: Path | str) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        return loadmat(str(path))
    except FileNotFoundError:
        raise
    except NotImplementedError as error:
        raise AnnotationError(f"{path}: MATLAB 7.3 format; save it in MATLAB with -v7") from error
    except Exception as error:  # scipy names no error of its own for what is no .mat file
        raise AnnotationError(f"{path}: cannot be read as a MATLAB file: {error}") from error


def _as_points(values: Any, path: Path | str) -> Points:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((0, 2), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise AnnotationError(f"{path}: points must be N x 2 numbers (x, y), got {array.dtype} {list(array.shape)}")
    return array.astype(np.float32)
