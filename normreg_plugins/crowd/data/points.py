"""Points, one (x, y) in pixels for each person: which are usable, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]  # [N, 2]
NEIGHBOURS = 3


@dataclass(frozen=True)
class CleanPoints:
    """The points inside a picture, and the numbers of what was odd."""

    points: Points
    outside: int
    not_finite: int
    duplicates: int  # they are kept: two people may be marked at one pixel


def clean_points(points: Points, width: int, height: int) -> CleanPoints:
    """Drop points that are not finite or lie outside [0, width] x [0, height]."""
    finite = points[np.isfinite(points).all(1)]
    kept = finite[((finite >= 0) & (finite <= (width, height))).all(1)]
    return CleanPoints(
        points=kept,
        outside=len(finite) - len(kept),
        not_finite=len(points) - len(finite),
        duplicates=len(kept) - len(np.unique(kept, axis=0)),
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
