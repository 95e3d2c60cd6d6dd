"""To whom does the density of a cell belong? The posterior of the Bayesian loss, without a points-by-cells matrix.

With equal priors and Gaussians of width sigma around the points z_n, cell x belongs to point n with probability

    p(n | x) = exp(-|x - z_n|^2 / 2 sigma^2) / sum_k exp(-|x - z_k|^2 / 2 sigma^2),

a softmax over the points. A Gaussian of two dimensions is a product of one factor per axis: E_x [N, W] and E_y [N, H].
The denominators of all cells are therefore one matrix product, E_y^T E_x. The density that the points are given is the
row sum of E_y * (E_x (D / denominators)^T).

In cells so far from every point that all Gaussians underflow, the softmax is computed as it is written.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from normreg_plugins.crowd.losses.cell_grid import BUDGET, Shape, axis_distances, cell_centres

# exp is five times slower where its result is subnormal, so exponents are kept above these.
LEAST_EXPONENT = {torch.float64: -700.0, torch.float32: -85.0}


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
        variance2 = 2 * sigma**2
        x_distances, y_distances = axis_distances(points, shape, stride)
        # Subtracting the least distance of each column and row does not change the softmax. It keeps cells in range
        # that have no point near them but share a column with one point and a row with another.
        x_shift, y_shift = x_distances.amin(0), y_distances.amin(0)
        exponents = x_distances.sub_(x_shift).div_(-variance2), y_distances.sub_(y_shift).div_(-variance2)
        mass, near = self._weigh(*exponents, precision)
        if not near.all() and precision != torch.float64:
            mass, near = self._weigh(*exponents, torch.float64)

        self._per_mass = torch.where(near, 1 / mass, 0)
        self.log_mass = mass.log() - (y_shift[:, None] + x_shift) / variance2
        self._far = None
        if not near.all():
            self._far = _FarCells(points, ~near, stride, sigma)
            self.log_mass = self.log_mass.index_put(self._far.cells, self._far.log_mass)

    def _weigh(self, x_exponents: Tensor, y_exponents: Tensor, precision: torch.dtype) -> tuple[Tensor, Tensor]:
        """Set the factors; return the mass of each cell in float64, and where it is exact up to rounding."""
        least = LEAST_EXPONENT[precision]
        self._x_factor = x_exponents.clamp(min=least).to(precision).exp_()
        self._y_factor = y_exponents.clamp(min=least).to(precision).exp_()
        mass = (self._y_factor.T @ self._x_factor).double()
        # The clamp changes each of the N terms by exp(least) at most. The sum of that must be below the rounding.
        return mass, mass > len(x_exponents) * math.exp(least) / torch.finfo(precision).eps

    def assign(self, density: Tensor) -> Tensor:
        """The share of the density [H, W] that belongs to each point: [N]. Linear in the density."""
        shares = self._x_factor @ (density * self._per_mass).T.to(self._x_factor)
        given = (self._y_factor * shares).sum(1).to(density)
        return given if self._far is None else given + self._far.assign(density)


class _FarCells:
    """The softmax over the points in the far cells of one map, some cells at a time.

    Args:
        points: [N, 2].
        far: which cells of the map are far from every point, [H, W].

    Attributes:
        cells: rows and columns of the F far cells.
        log_mass: log of the denominator of the softmax in each of them, [F].
    """

    def __init__(self, points: Tensor, far: Tensor, stride: int, sigma: float) -> None:
        self._points = len(points)
        self._at_a_time = max(1, BUDGET // len(points))
        rows, columns = self.cells = far.nonzero(as_tuple=True)
        y = cell_centres(far.shape[0], stride, points)[rows].split(self._at_a_time)
        x = cell_centres(far.shape[1], stride, points)[columns].split(self._at_a_time)
        chunks = [_far_softmax(points, *chunk, sigma) for chunk in zip(x, y, strict=True)]
        self.log_mass = torch.cat([log_mass for log_mass, _, _ in chunks])
        self._posteriors = [(kept, posterior) for _, kept, posterior in chunks]

    def assign(self, density: Tensor) -> Tensor:
        """The share of the density of the far cells that belongs to each point: [N]."""
        given = density.new_zeros(self._points)
        chunks = density[self.cells].split(self._at_a_time)
        for (kept, posterior), chunk in zip(self._posteriors, chunks, strict=True):
            given = given.index_add(0, kept, posterior @ chunk)
        return given


def _far_softmax(points: Tensor, x: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """For the cells at (x, y): the log of the denominator, the points that matter, and their posterior [kept, cells].

    A point is left out if its weight is below rounding in all these cells. Usually most points are.
    """
    distances = (x - points[:, :1]).square_().add_((y - points[:, 1:]).square_())
    exponents = distances.div_(-2 * sigma**2)
    largest = exponents.amax(0)
    relative = exponents.sub_(largest)  # 0 for the nearest point
    kept = (relative > math.log(torch.finfo(points.dtype).eps / len(points))).any(1).nonzero()[:, 0]
    weights = relative[kept].exp_()
    mass = weights.sum(0)
    return mass.log() + largest, kept, weights.div_(mass)
