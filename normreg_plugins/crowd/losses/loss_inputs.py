"""Checks of what the losses are given: density maps, points and targets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
    """One non-negative count per point, [N]; 1 where none is given."""
    if targets is None:
        return torch.ones_like(points[:, 0])
    if targets.shape != points.shape[:1]:
        raise ValueError(f"{list(targets.shape)} count targets for {len(points)} points")
    if not (targets >= 0).all():
        raise ValueError("count targets must be numbers of at least 0")
    return targets.to(points)


def as_loss(value: Tensor, density: Tensor) -> Tensor:
    """The loss on the device of the density, in its precision, or float32 if that is higher."""
    return value.to(density.device, torch.promote_types(density.dtype, torch.float32))
