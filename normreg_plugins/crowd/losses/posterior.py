"""The posterior of the Bayesian loss: the probability that the density of a cell belongs to a point.

With equal priors and Gaussians of width sigma around the points z_n, cell x belongs to point n with probability

    p(n | x) = exp(-|x - z_n|^2 / 2 sigma^2) / sum_k exp(-|x - z_k|^2 / 2 sigma^2)        (Ma et al., ICCV 2019)

which is a softmax over the points. The published code stores it as a matrix of points x cells. This one does not: a
Gaussian of two dimensions is a product of one factor per axis, E_x [N, W] and E_y [N, H], so

    denominators of all cells:  mass = E_y^T E_x                                [H, W], one matrix product
    density given to point n:   sum over the rows y of E_y * (E_x (D / mass)^T)   [N], another one

A few cells can be so far from every point that all Gaussians underflow. There the softmax is computed as written.
Points are (x, y) in image pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

BUDGET = 2**18
"""How many numbers are in memory at a time where cells are treated in chunks (at least one row or cell)."""
LEAST_EXPONENT = {torch.float64: -700.0, torch.float32: -85.0}
"""exp is five times slower where its result is subnormal, so exponents are clamped to these."""

Shape = Sequence[int]  # height and width
FarCells = tuple[tuple[Tensor, Tensor], Tensor, Tensor]  # (rows, columns) [F], points [K], their posterior [K, F]


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


class Posterior:
    """The posterior of N >= 1 points (float64) over a grid of cells. It does not depend on the density.

    Args:
        precision: of the two factors and their products, which take most of the time. float32 becomes
            float64 where the range of float32 does not reach every cell.

    Attributes:
        log_mass: log of the denominator of the softmax, [H, W].
    """

    def __init__(
        self, points: Tensor, shape: Shape, stride: int, sigma: float, precision: torch.dtype = torch.float64
    ) -> None:
        x_distances, y_distances = axis_distances(points, shape, stride)
        # Subtracting the least distance of each column and row cancels in the softmax. It keeps those cells in range
        # that have no point near them but share a column with one point and a row with another.
        x_shift, y_shift = x_distances.amin(0), y_distances.amin(0)
        variance2 = 2 * sigma**2
        exponents = x_distances.sub_(x_shift).div_(-variance2), y_distances.sub_(y_shift).div_(-variance2)
        mass, near = self._factorize(*exponents, precision)
        if not near.all() and precision != torch.float64:
            mass, near = self._factorize(*exponents, torch.float64)
        self._per_mass = torch.where(near, 1 / mass, 0)
        self.log_mass = mass.log() - (y_shift[:, None] + x_shift) / variance2
        self._far = [] if near.all() else [*self._far_cells(points, ~near, stride, sigma)]

    def assign(self, density: Tensor) -> Tensor:
        """The share of the density [H, W] that belongs to each point, sum_x p(n | x) D(x): [N]."""
        shares = self._x_factor @ (density * self._per_mass).T.to(self._x_factor)
        given = (self._y_factor * shares).sum(1).to(density)
        for cells, points, posterior in self._far:
            given = given.index_add(0, points, posterior @ density[cells])
        return given

    def _factorize(self, x_exponents: Tensor, y_exponents: Tensor, precision: torch.dtype) -> tuple[Tensor, Tensor]:
        """Set E_x and E_y; return the mass of each cell in float64, and where it is exact up to rounding."""
        least = LEAST_EXPONENT[precision]
        self._x_factor = x_exponents.clamp(min=least).to(precision).exp_()
        self._y_factor = y_exponents.clamp(min=least).to(precision).exp_()
        mass = (self._y_factor.T @ self._x_factor).double()
        # The clamp changes each of the N terms by exp(least) at most. The sum of that must be below the rounding.
        return mass, mass > len(x_exponents) * math.exp(least) / torch.finfo(precision).eps

    def _far_cells(self, points: Tensor, far: Tensor, stride: int, sigma: float) -> Iterator[FarCells]:
        """Compute the softmax of the far cells, some at a time, and set their `log_mass`.

        A point is left out if its weight is below rounding in all cells of a chunk. Usually most points are.
        """
        smallest = math.log(torch.finfo(points.dtype).eps / len(points))
        at_a_time = max(1, BUDGET // len(points))
        for rows, columns in zip(*(place.split(at_a_time) for place in far.nonzero(as_tuple=True)), strict=True):
            x, y = (stride * (place + 0.5) for place in (columns, rows))
            distances = (x - points[:, :1]).square_().add_((y - points[:, 1:]).square_())
            exponents = distances.div_(-2 * sigma**2)
            largest = exponents.amax(0)
            relative = exponents.sub_(largest)  # 0 for the nearest point
            used = (relative > smallest).any(1).nonzero()[:, 0]
            weights = relative[used].exp_()
            mass = weights.sum(0)
            self.log_mass[rows, columns] = mass.log() + largest
            yield (rows, columns), used, weights.div_(mass)
