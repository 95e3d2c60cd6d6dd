"""The Bayesian loss straight from its definition: a softmax over all points, for all cells."""

from __future__ import annotations

import torch
from torch import Tensor


def dense_bayesian_loss(
    density: Tensor,
    points: Tensor,
    *,
    targets: Tensor | None = None,
    sigma: float = 8.0,
    stride: int = 8,
    background: str | None = None,
    reach: float = 0.0,
) -> Tensor:
    """One image: density [H, W], points [N, 2]."""
    if len(points) == 0:
        return density.sum().abs()
    height, width = density.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = ((torch.stack([x, y], dim=-1) + 0.5) * stride).to(points).reshape(-1, 2)
    distances = (cells[None] - points[:, None]).square().sum(-1)  # [N, cells]
    nearest = distances.amin(0, keepdim=True)
    if background == "margin":
        distances = torch.cat([distances, (reach - nearest.sqrt()) ** 2])
    elif background == "ratio":
        distances = torch.cat([distances, reach**2 / (nearest + 1e-5)])
    posterior = torch.softmax(-distances / (2 * sigma**2), dim=0)
    expected = posterior @ density.reshape(-1)
    wanted = torch.ones(len(points)).to(points) if targets is None else targets
    if background is not None:
        wanted = torch.cat([wanted, torch.zeros(1).to(wanted)])
    return (wanted - expected).abs().sum()
