"""The loss of the original CSRNet: the squared error against a density map of Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor

from normreg_plugins.crowd.losses.crowd_loss import CrowdLoss, checked_targets
from normreg_plugins.crowd.losses.posterior import Shape, axis_distances


def gaussian_density(
    points: Tensor, shape: Shape, stride: int, sigma: float | Tensor, targets: Tensor | None = None
) -> Tensor:
    """A density map [H, W] with one Gaussian per point. Its sum is the count.

    Each Gaussian is scaled so that its sum over the cells of the map is 1, or its target. So points near a border
    count in full. The scaled Gaussians are products over the axes too, so the map is one matrix product.

    Args:
        sigma: in pixels; a tensor [N] gives each point its own width (geometry-adaptive kernels).
    """
    targets = checked_targets(targets, points)
    width2 = 2 * torch.as_tensor(sigma, dtype=points.dtype, device=points.device).square()
    x_distances, y_distances = axis_distances(points, shape, stride)
    x_factor = torch.softmax(-x_distances / width2.reshape(-1, 1), dim=1)
    y_factor = torch.softmax(-y_distances / width2.reshape(-1, 1), dim=1)
    return (y_factor * targets[:, None]).T @ x_factor


class DensityMapLoss(CrowdLoss):
    """Mean over images of half the summed squared error to a Gaussian density map (CSRNet, eq. 5).

    Args:
        sigma: width of the Gaussians in pixels; 15 is the original's fixed kernel.
        stride: pixels per cell of the density map.
    """

    def __init__(self, sigma: float = 15.0, stride: int = 8) -> None:
        super().__init__(sigma, stride)

    def loss_of_image(
        self, density: Tensor, points: Tensor, targets: Tensor, shorter_side: float, precision: torch.dtype
    ) -> Tensor:
        goal = gaussian_density(points, density.shape, self.stride, self.sigma, targets)
        return (density - goal).square().sum() / 2
