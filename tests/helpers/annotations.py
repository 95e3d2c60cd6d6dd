"""Annotation files as UCF-QNRF and ShanghaiTech have them."""

import numpy as np
from scipy.io import savemat


def shanghaitech_file(path, points):
    """image_info is a cell that holds a struct that holds `location` and `number`."""
    info = np.empty((1, 1), dtype=[("location", object), ("number", object)])
    info["location"][0, 0] = points
    info["number"][0, 0] = len(points)
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = info
    savemat(path, {"image_info": cell})
    return path


def qnrf_file(path, **content):
    savemat(path, content)
    return path
