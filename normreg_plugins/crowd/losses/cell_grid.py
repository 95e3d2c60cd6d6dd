"""The grid of a density map: cells of `stride` image pixels, and distances from points to cells.

Points are (x, y) in image pixels everywhere. Distances are kept per axis, [points, width] and [points, height]: a
Gaussian of two dimensions is a product of one factor per axis, so no tensor of points by cells is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BUDGET = 2**18  # how many numbers are held at a time where cells are treated in chunks (one row or cell at least)
Shape = Sequence[int]  # height and width


def cell_centres(cells: int, stride: int, like: Tensor) -> Tensor:
    """Pixel coordinates of the centres of `cells` cells in a row: stride * (i + 1/2)."""
    return (torch.arange(cells, dtype=like.dtype, device=like.device) + 0.5) * stride


def axis_distances(points: Tensor, shape: Shape, stride: int) -> tuple[Tensor, Tensor]:
    """Squared distances of N points to the cell centres along each axis: x [N, W] and y [N, H]."""
    height, width = shape
    x, y = points.unbind(1)
    return (
        (x[:, None] - cell_centres(width, stride, points)).square_(),
        (y[:, None] - cell_centres(height, stride, points)).square_(),
    )


def nearest_distances(points: Tensor, within: Tensor, stride: int) -> Tensor:
    """Squared distance [H, W] of every cell centre to its nearest point.

    A minimum is no product over the axes. So the rows are treated in chunks. For each chunk only those points are
    considered that can be the nearest of one of its cells.

    Args:
        within: upper bounds of the result, [H, W]. Loose bounds only cost time. Where a bound is too
            low, the result is the distance to some point, not necessarily the nearest.
    """
    points = points[points[:, 1].argsort()]
    x_distances, y_distances = axis_distances(points, within.shape, stride)
    rows = cell_centres(len(within), stride, points)
    reach = within.amax(1).sqrt() * (1 + 1e-6) + 1e-6  # a little more, because of rounding
    y = points[:, 1].contiguous()
    count = max(1, BUDGET // x_distances.numel())  # rows per chunk
    first = torch.searchsorted(y, rows - reach).clamp_(max=len(y) - 1)
    last = torch.searchsorted(y, rows + reach, right=True).maximum(first + 1)  # at least one point
    pairs = zip(first.split(count), last.split(count), strict=True)
    ends = torch.stack([torch.stack([a.amin(), b.amax()]) for a, b in pairs])
    chunks = zip(y_distances.split(count, dim=1), ends.tolist(), strict=True)
    return torch.cat([(x_distances[a:b, None] + d[a:b, :, None]).amin(0) for d, (a, b) in chunks])
