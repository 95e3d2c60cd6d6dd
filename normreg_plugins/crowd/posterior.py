"""Whose is the density of a cell? The posterior of the Bayesian loss, without its matrix.

With equal priors and Gaussians of width sigma around the points z_n, cell x belongs to point n with

    p(n | x) = exp(-|x - z_n|^2 / 2 sigma^2) / sum_k exp(-|x - z_k|^2 / 2 sigma^2),

a softmax over the points. Two matrix products of the per-axis factors E_x [N, W] and E_y [N, H]
give all there is to know of it: the denominators are E_y^T E_x, and the density that each point is
given is the row sum of E_y * (E_x (D / denominators)^T).

Where every point is so far that its Gaussian underflows, `FarCells` takes over. What it adds is the
same softmax to the last digits, not an approximation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from normreg_plugins.crowd.far_cells import FarCells
from normreg_plugins.crowd.grid import Shape, axis_distances

# Below it numbers are subnormal, or nearly, and exp takes five times as long.
LEAST_EXPONENT = {torch.float64: -700.0, torch.float32: -85.0}


class Posterior:
    """The posterior of N >= 1 points (float64) over a grid of cells, constant in the density.

    Args:
        precision: of the factors and their products, which are nearly all the work. float32 is made
            float64 where its exponents do not reach every cell.

    Attributes:
        log_mass: log of the softmax's denominator, [H, W].
    """

    def __init__(
        self, points: Tensor, shape: Shape, stride: int, sigma: float, precision: torch.dtype = torch.float64
    ) -> None:
        variance2 = 2 * sigma**2
        x_distances, y_distances = axis_distances(points, shape, stride)
        # A shift of a whole row or column of cells cancels in the softmax, and keeps cells in reach
        # that share neither row nor column with any point.
        x_shift, y_shift = x_distances.amin(0), y_distances.amin(0)
        exponents = x_distances.sub_(x_shift).div_(-variance2), y_distances.sub_(y_shift).div_(-variance2)
        mass, near = self._weigh(*exponents, precision)
        in_reach = bool(near.all())
        if not in_reach and precision != torch.float64:
            mass, near = self._weigh(*exponents, torch.float64)
            in_reach = bool(near.all())

        self._per_mass = torch.where(near, 1 / mass, 0)
        self.log_mass = mass.log() - (y_shift[:, None] + x_shift) / variance2
        self._far = None
        if not in_reach:
            self._far = FarCells(points, ~near, stride, sigma)
            self.log_mass = self._far.fill_log_mass(self.log_mass)

    def _weigh(self, x_exponents: Tensor, y_exponents: Tensor, precision: torch.dtype) -> tuple[Tensor, Tensor]:
        """Set the factors; return the mass of each cell in float64, and where it is right to rounding."""
        least = LEAST_EXPONENT[precision]
        self._x_factor = x_exponents.clamp(min=least).to(precision).exp_()
        self._y_factor = y_exponents.clamp(min=least).to(precision).exp_()
        mass = (self._y_factor.T @ self._x_factor).double()
        # What N terms lost or gained at the bottom must be below the rounding of what is left.
        return mass, mass > len(x_exponents) * math.exp(least) / torch.finfo(precision).eps

    def assign(self, density: Tensor) -> Tensor:
        """The share of the density [H, W] that belongs to each point: [N]. Linear in the density."""
        shares = self._x_factor @ (density * self._per_mass).T.to(self._x_factor)
        given = (self._y_factor * shares).sum(1).to(density)
        return given if self._far is None else given + self._far.assign(density)
