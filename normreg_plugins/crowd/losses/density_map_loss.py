"""The loss of the original CSRNet: the squared error against a density map of Gaussians."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from normreg_plugins.crowd.losses.cell_grid import Shape, axis_distances
from normreg_plugins.crowd.losses.loss_inputs import as_loss, checked_maps, checked_points, checked_targets


def gaussian_density(
    points: Tensor,
    shape: Shape,
    stride: int,
    sigma: float | Tensor,
    targets: Tensor | None = None,
) -> Tensor:
    """A density map [H, W] with one Gaussian per point. Its sum is the count.

    Each Gaussian is scaled so that its sum over the cells of the map is 1, or its target. So points near a border
    count in full. The scaled Gaussians are products over the axes too, so the map is one matrix product.

    Args:
        sigma: in pixels; a tensor [N] gives each point a width of its own (geometry-adaptive kernels).
    """
    targets = checked_targets(targets, points)
    width2 = 2 * torch.as_tensor(sigma, dtype=points.dtype, device=points.device).square()
    x_distances, y_distances = axis_distances(points, shape, stride)
    x_factor = torch.softmax(-x_distances / width2.reshape(-1, 1), dim=1)
    y_factor = torch.softmax(-y_distances / width2.reshape(-1, 1), dim=1)
    return (y_factor * targets[:, None]).T @ x_factor


class DensityMapLoss(nn.Module):
    """Mean over images of half the summed squared error to a Gaussian density map (CSRNet, eq. 5).

    Args:
        sigma: width of the Gaussians in pixels; 15 is the original's fixed kernel.
        stride: pixels per cell of the density map.
    """

    def __init__(self, sigma: float = 15.0, stride: int = 8) -> None:
        super().__init__()
        if not sigma > 0 or stride < 1:
            raise ValueError(f"sigma and stride must be positive, got {sigma} and {stride}")
        self.sigma = sigma
        self.stride = stride

    def forward(
        self,
        density: Tensor,
        points: Sequence[Tensor],
        targets: Sequence[Tensor | None] | None = None,
        shorter_sides: Sequence[float] | None = None,
    ) -> Tensor:
        """Arguments as of `BayesianLoss`; `shorter_sides` has no meaning here."""
        maps = checked_maps(density, points)
        goals = [
            gaussian_density(checked_points(z, maps), maps.shape[1:], self.stride, self.sigma, t)
            for z, t in zip(points, targets or [None] * len(maps), strict=True)
        ]
        error = maps - torch.stack(goals)
        return as_loss(error.square().sum((1, 2)).mean() / 2, density)

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}, stride={self.stride}"
