"""Reads the points of people from the MATLAB files (.mat) of UCF-QNRF and ShanghaiTech."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from normreg_plugins.crowd.data.points import Points


class AnnotationError(ValueError):
    """An annotation file that does not hold points."""


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
    except Exception as error:  # scipy has no exception of its own for a file that is no .mat file
        raise AnnotationError(f"{path}: the file cannot be read as a MATLAB file: {error}") from error
    if name not in content:
        names = [key for key in content if not key.startswith("__")]
        raise AnnotationError(f"{path}: no {name!r}; the file holds {names}")
    return content[name]


def _as_points(values: Any, path: Path | str) -> Points:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((0, 2), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise AnnotationError(f"{path}: points must be N x 2 numbers (x, y), got {array.dtype} {list(array.shape)}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is counted as not finite
        return array.astype(np.float32)
