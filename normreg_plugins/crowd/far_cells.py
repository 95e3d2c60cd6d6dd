"""The posterior of cells so far from every point that all Gaussians underflow there.

A softmax needs only differences, and those are small. In a block of cells around the centre c, let
z_* be the point nearest to c. Then

    |x - z_n|^2 - |x - z_*|^2 = (|c - z_n|^2 - |c - z_*|^2) - 2 (x - c) . (z_n - z_*),

a part without x and one that is again a sum over the axes. So the block has thin factors too, the
sum of its weights is at least 1 (the weight of z_*), and a small block cannot overflow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from normreg_plugins.crowd.grid import cell_centres

MOST_CELLS = 8  # per side of a block


class FarCells:
    """The far cells of one map, in blocks of side x side cells.

    Args:
        points: [N, 2].
        far: which cells of the map these are, [H, W].
        stride, sigma: as in `Posterior`.
    """

    def __init__(self, points: Tensor, far: Tensor, stride: int, sigma: float) -> None:
        self._total = len(points)
        self._variance = sigma**2
        self._stride = stride
        side = _block_side(points, far.shape, stride, self._variance)
        in_block = torch.nn.functional.max_pool2d(far[None].float(), side, ceil_mode=True)[0] > 0
        corners = torch.nonzero(in_block) * side  # [B, 2]: row and column
        steps = torch.arange(side, device=far.device)
        rows, columns = corners[:, :1] + steps, corners[:, 1:] + steps  # [B, side]
        height, width = far.shape
        inside = (rows < height)[:, :, None] & (columns < width)[:, None, :]
        self._cells = (  # together [B, side, side]; blocks may end beyond the map
            rows.clamp(max=height - 1)[:, :, None],
            columns.clamp(max=width - 1)[:, None, :],
        )
        self._here = far[self._cells] & inside
        self._x = cell_centres(int(columns.max()) + 1, stride, points)[columns]
        self._y = cell_centres(int(rows.max()) + 1, stride, points)[rows]
        self._weigh(points)

    def _weigh(self, points: Tensor) -> None:
        """Factors [B, K, side] of the K points that matter, and the sum of all weights."""
        x, y = points.unbind(1)
        distances = (self._x.mean(1)[:, None] - x).square() + (self._y.mean(1)[:, None] - y).square()
        least, index = distances.min(1, keepdim=True)
        offset = (least - distances) / (2 * self._variance)  # [B, N], at most 0
        self._nearest = points[index[:, 0]]
        x_slope = (x - self._nearest[:, :1]) / self._variance
        y_slope = (y - self._nearest[:, 1:]) / self._variance

        # A point that no cell can feel beyond rounding is left out.
        half_side = (self._x[0, -1] - self._x[0, 0]) / 2
        most = offset + (x_slope.abs() + y_slope.abs()) * half_side
        negligible = math.log(torch.finfo(points.dtype).eps / len(points))
        self._which = torch.nonzero((most > negligible).any(0))[:, 0]
        half_offset = offset[:, self._which] / 2  # half for each axis
        self._x_factor = self._series(half_offset, x_slope[:, self._which], half_side)
        self._y_factor = self._series(half_offset, y_slope[:, self._which], half_side)
        self._mass = self._y_factor.mT @ self._x_factor

    def _series(self, middle: Tensor, slope: Tensor, half_side: Tensor) -> Tensor:
        """exp(middle + slope * (x - c)) for the cells of a block: a geometric series."""
        factors = [(middle - slope * half_side).exp()]
        ratio = (slope * self._stride).exp()
        for _ in range(self._x.shape[1] - 1):
            factors.append(factors[-1] * ratio)
        return torch.stack(factors, dim=-1)

    def fill_log_mass(self, log_mass: Tensor) -> Tensor:
        """Put the log of the softmax's denominator into the far cells of [H, W]."""
        x, y = self._x - self._nearest[:, :1], self._y - self._nearest[:, 1:]
        distance = y.square()[:, :, None] + x.square()[:, None, :]
        values = self._mass.log() - distance / (2 * self._variance)
        rows, columns = (index.expand_as(values)[self._here] for index in self._cells)
        return log_mass.index_put((rows, columns), values[self._here])

    def assign(self, density: Tensor) -> Tensor:
        """The share of the far cells' density that belongs to each point: [N]."""
        shares = torch.where(self._here, density[self._cells], 0) / self._mass
        given = (self._y_factor * (self._x_factor @ shares.mT)).sum((0, 2))
        return density.new_zeros(self._total).index_add(0, self._which, given)


def _block_side(points: Tensor, shape: torch.Size, stride: int, variance: float) -> int:
    """Cells per block side, so few that no exponent comes near that of the largest number.

    The exponents' part with x is at most |x - c| |z_n - z_*| / sigma^2, summed over the axes.
    """
    span = (points.amax(0) - points.amin(0)).sum().item()
    reach = 0.5 * math.log(torch.finfo(points.dtype).max) * variance / max(span, stride)
    return min(MOST_CELLS, int(2 * reach / stride) + 1, *shape)
