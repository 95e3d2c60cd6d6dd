"""Gaussian density maps that keep the count, and the squared error against them."""

from __future__ import annotations

import pytest
import torch

from normreg_plugins.crowd import DensityMapLoss, gaussian_density


def gaussian_by_gaussian(points, shape, stride, sigmas, targets):
    """The same map, one person at a time."""
    height, width = shape
    total = torch.zeros(shape, dtype=points.dtype)
    for (px, py), sigma, target in zip(points, sigmas, targets, strict=True):
        blob = torch.zeros(shape, dtype=points.dtype)
        for row in range(height):
            for column in range(width):
                dx, dy = (column + 0.5) * stride - px, (row + 0.5) * stride - py
                blob[row, column] = torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))
        total += target * blob / blob.sum()
    return total


def test_the_map_is_the_sum_of_its_gaussians():
    torch.manual_seed(0)
    points = torch.rand(6, 2, dtype=torch.float64) * 80
    sigmas = torch.rand(6, dtype=torch.float64) * 20 + 3
    targets = torch.rand(6, dtype=torch.float64)
    ours = gaussian_density(points, (10, 7), 8, sigmas, targets)
    torch.testing.assert_close(ours, gaussian_by_gaussian(points, (10, 7), 8, sigmas, targets))


def test_the_count_is_kept_at_borders_and_outside():
    points = torch.tensor([[0.0, 0.0], [512.0, 512.0], [-40.0, 30.0], [5000.0, 100.0]])
    for sigma in (0.5, 15.0):
        density = gaussian_density(points, (64, 64), 8, sigma)
        torch.testing.assert_close(density.sum(), torch.tensor(4.0))
        assert (density >= 0).all()


def test_no_points_give_an_empty_map():
    assert gaussian_density(torch.zeros(0, 2), (4, 5), 8, 15.0).equal(torch.zeros(4, 5))


def test_loss_is_half_the_squared_error_per_image():
    torch.manual_seed(0)
    points = [torch.rand(5, 2) * 64, torch.zeros(0, 2)]
    density = torch.rand(2, 1, 8, 8, requires_grad=True)
    loss = DensityMapLoss(sigma=10.0)(density, points)
    first = (density[0, 0] - gaussian_density(points[0], (8, 8), 8, 10.0)).square().sum()
    torch.testing.assert_close(loss, (first + density[1].square().sum()) / 4)
    loss.backward()
    torch.testing.assert_close(density.grad[1], density.detach()[1] / 2)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="sigma"):
        DensityMapLoss(sigma=-1.0)
    with pytest.raises(ValueError, match="NaN"):
        DensityMapLoss()(torch.rand(1, 1, 8, 8), [torch.full((1, 2), float("nan"))])
