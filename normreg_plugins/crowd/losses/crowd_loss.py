"""What the losses on density maps share: checks of their arguments, double precision, the mean over images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CrowdLoss(nn.Module):
    """Mean over images of `loss_of_image`, which a subclass defines.

    Args:
        sigma: width of the Gaussians in pixels.
        stride: pixels per cell of the density map.
    """

    def __init__(self, sigma: float, stride: int) -> None:
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
        """
        Args:
            density: [B, 1, H, W] or [B, H, W].
            points: (x, y) in pixels of the crop, [N, 2] for each image; they may lie outside the crop.
            targets: what each point counts, [N] for each image. Default: 1.
            shorter_sides: shorter side of each full image in pixels, which sets the reach of the
                background of `BayesianLoss`. Default: the shorter side of the map.
        """
        maps = checked_maps(density, points)
        sides = shorter_sides or [self.stride * min(maps.shape[1:])] * len(maps)
        precision = torch.promote_types(density.dtype, torch.float32)
        with torch.autocast(maps.device.type, enabled=False):
            losses = []
            for image, some, counts, side in zip(maps, points, targets or [None] * len(maps), sides, strict=True):
                some = checked_points(some, image)
                losses.append(self.loss_of_image(image, some, checked_targets(counts, some), side, precision))
        return torch.stack(losses).mean().to(density.device, precision)

    def loss_of_image(
        self, density: Tensor, points: Tensor, targets: Tensor, shorter_side: float, precision: torch.dtype
    ) -> Tensor:
        """The loss of one image: density [H, W], points [N, 2] and targets [N], all float64.

        Args:
            precision: float32 or float64, for intermediate results that take most of the time.
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}, stride={self.stride}"


def checked_maps(density: Tensor, annotated: Sequence[object]) -> Tensor:
    """Density maps [B, H, W] in float64.

    The maps are small, so double precision costs little. Autocast does not change float64. Apple's MPS has no
    float64, so maps there are copied to the CPU.
    """
    if density.ndim == 4 and density.shape[1] == 1:
        density = density[:, 0]
    if density.ndim != 3:
        raise ValueError(f"density must be [B, 1, H, W] or [B, H, W], got {list(density.shape)}")
    if len(density) != len(annotated):
        raise ValueError(f"{len(density)} density maps, but points of {len(annotated)} images")
    if density.device.type == "mps":
        density = density.cpu()
    return density.double()


def checked_points(points: Tensor, like: Tensor) -> Tensor:
    """Finite (x, y) rows, [N, 2]."""
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must be [N, 2] rows of (x, y), got {list(points.shape)}")
    if not points.isfinite().all():
        raise ValueError("points have NaN or infinite coordinates; drop these points before the loss")
    return points.to(like)


def checked_targets(targets: Tensor | None, points: Tensor) -> Tensor:
    """One non-negative count per point, [N]; 1 by default."""
    if targets is None:
        return torch.ones_like(points[:, 0])
    if targets.shape != points.shape[:1]:
        raise ValueError(f"{list(targets.shape)} count targets for {len(points)} points")
    if not (targets >= 0).all():
        raise ValueError("count targets must be numbers of at least 0")
    return targets.to(points)
