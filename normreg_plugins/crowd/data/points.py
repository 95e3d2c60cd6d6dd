"""Points, one (x, y) in pixels for each person: read from MATLAB files, cleaned, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]  # [N, 2]
NEIGHBOURS = 3


class AnnotationError(ValueError):
    """An annotation file that cannot be used."""


def read_qnrf_points(path: Path | str) -> Points:
    """`annPoints` of a UCF-QNRF file: rows of (x, y) in pixels."""
    return _as_points(_read_mat(path, "annPoints"), path)


def read_shanghaitech_points(path: Path | str) -> Points:
    """`image_info{1}.location` of a ShanghaiTech file: rows of (x, y) in pixels."""
    info = _read_mat(path, "image_info")
    try:
        location = info.reshape(-1)[0].reshape(-1)[0]["location"]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{path}: image_info{{1}} has no field 'location'") from error
    return _as_points(location, path)


def _read_mat(path: Path | str, name: str) -> Any:
    """One variable of a .mat file."""
    from scipy.io import loadmat

    try:
        content = loadmat(str(path))
    except FileNotFoundError:
        raise
    except NotImplementedError as error:
        raise AnnotationError(f"{path}: the file is in MATLAB's 7.3 format; save it in MATLAB with -v7") from error
    except Exception as error:  # scipy raises many kinds of exceptions for files that are not MATLAB files
        raise AnnotationError(f"{path}: the file cannot be read as a MATLAB file: {error}") from error
    if name not in content:
        names = [key for key in content if not key.startswith("__")]
        raise AnnotationError(f"{path}: no {name!r}; the file has {names}")
    return content[name]


def _as_points(values: Any, path: Path | str) -> Points:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((0, 2), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise AnnotationError(f"{path}: points must be N x 2 numbers (x, y), got {array.dtype} {list(array.shape)}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is counted as not finite
        return array.astype(np.float32)


@dataclass(frozen=True)
class CleanPoints:
    """The points inside a picture, and the numbers of what was odd."""

    points: Points
    outside: int
    not_finite: int
    duplicates: int  # they stay: two people may be marked at one pixel


def clean_points(points: Points, width: int, height: int) -> CleanPoints:
    """Drop points that are not finite or lie outside [0, width] x [0, height]."""
    finite = points[np.isfinite(points).all(1)]
    inside = finite[((finite >= 0) & (finite <= (width, height))).all(1)]
    return CleanPoints(
        points=inside,
        outside=len(finite) - len(inside),
        not_finite=len(points) - len(finite),
        duplicates=len(inside) - len(np.unique(inside, axis=0)),
    )


def neighbour_distances(points: Points) -> NDArray[np.float32]:
    """Mean distance of each point to its 3 nearest neighbours, or to all others if there are fewer.

    A single point has no neighbours, and its distance is infinite.
    """
    from scipy.spatial import cKDTree

    count = min(NEIGHBOURS, len(points) - 1)
    if count < 1:
        return np.full(len(points), np.inf, dtype=np.float32)
    distances, _ = cKDTree(points).query(points, k=count + 1)
    return distances[:, 1:].mean(1).astype(np.float32)
