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

LEAST_EXPONENT = -700.0  # of float64; below it numbers are subnormal, and exp takes five times as long


class Posterior:
    """The posterior of N >= 1 points (float64) over a grid of cells, constant in the density.

    Attributes:
        log_mass: log of the softmax's denominator, [H, W].
    """

    def __init__(self, points: Tensor, shape: Shape, stride: int, sigma: float) -> None:
        variance2 = 2 * sigma**2
        x_distances, y_distances = axis_distances(points, shape, stride)
        # A shift of a whole row or column of cells cancels in the softmax, and keeps cells in reach
        # that share neither row nor column with any point.
        x_shift, y_shift = x_distances.amin(0), y_distances.amin(0)
        self._x_factor = _gaussian_(x_distances.sub_(x_shift), variance2)
        self._y_factor = _gaussian_(y_distances.sub_(y_shift), variance2)
        mass = self._y_factor.T @ self._x_factor

        # What N terms lost or gained at the bottom must be below the rounding of what is left.
        near = mass > len(points) * math.exp(LEAST_EXPONENT) / torch.finfo(mass.dtype).eps
        self._per_mass = torch.where(near, 1 / mass, 0)
        self.log_mass = mass.log() - (y_shift[:, None] + x_shift) / variance2
        self._far = None
        if not near.all():
            self._far = FarCells(points, ~near, stride, sigma)
            self.log_mass = self._far.fill_log_mass(self.log_mass)

    def assign(self, density: Tensor) -> Tensor:
        """The share of the density [H, W] that belongs to each point: [N]. Linear in the density."""
        shares = self._x_factor @ (density * self._per_mass).T
        given = (self._y_factor * shares).sum(1)
        return given if self._far is None else given + self._far.assign(density)


def _gaussian_(distances: Tensor, variance2: float) -> Tensor:
    """exp(-distances / variance2), in place: fresh memory would cost more than the arithmetic."""
    return distances.mul_(-1 / variance2).clamp_(min=LEAST_EXPONENT).exp_()
