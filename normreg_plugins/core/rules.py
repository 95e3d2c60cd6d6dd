"""The papers' updates as in-place functions on targets, with their equation numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from normreg_plugins.core.filters import safe_factors
from normreg_plugins.core.targets import Rescaled, Target, rescale_


@torch.no_grad()
def rescale_to_norm_(targets: Sequence[Target], radius: float) -> list[Rescaled]:
    """WRS, Algorithm 1 lines 13 and 16: w <- r w / ||w||, for each filter (r = 1 in the paper)."""
    return rescale_(targets, lambda t: t.filters.norms(t.weight), lambda _, norms: _to_radius(norms, radius))


@torch.no_grad()
def shrink_(targets: Sequence[Target], rates: Sequence[float | Tensor], alpha: float, measure: str) -> list[Rescaled]:
    """AWS eq. 20-21: w <- (1 - eta alpha m) w before the gradient step, with m = ||w||, or std(w) below eq. 21.

    The factor never goes below 0: a step may not turn a filter round.

    Args:
        rates: the learning rate eta of each target.
    """
    eta = dict(zip(targets, rates))

    def rule(batch: Sequence[Target], sizes: list[Tensor]) -> list[Tensor]:
        return [(1 - eta[t] * alpha * size.nan_to_num(0, 0, 0)).clamp_min_(0) for t, size in zip(batch, sizes)]

    return rescale_(targets, lambda t: _size(t, measure), rule)


@torch.no_grad()
def center_gradients_(targets: Sequence[Target]) -> None:
    """Constrained paper, Algorithm 1 line 4: g <- g - (1^T g) 1 / n, for each filter."""
    for target in targets:
        if target.weight.grad is not None:
            target.filters.center_(target.weight.grad)


@torch.no_grad()
def project_to_sphere_(targets: Sequence[Target], c: float, center: bool) -> list[Rescaled]:
    """Constrained paper eq. 2 and 11: 1^T w = 0 and ||w||^2 = c, for each filter.

    Algorithm 1 relies on zero-mean updates to keep the mean zero. An adaptive optimizer scales the entries of an update
    one by one and breaks that, so the weight itself is centred, and only then put on the sphere.
    """

    def measure(target: Target) -> Tensor:
        if center:
            target.filters.center_(target.weight)
        return target.filters.norms(target.weight)

    return rescale_(targets, measure, lambda _, norms: _to_radius(norms, math.sqrt(c)))


def _to_radius(norms: list[Tensor], radius: float) -> list[Tensor]:
    if len(norms) == 1:
        return [safe_factors(radius, norms[0])]
    flat = safe_factors(radius, torch.cat([n.flatten() for n in norms]))
    return [f.view_as(n) for f, n in zip(flat.split([n.numel() for n in norms]), norms)]


def _size(target: Target, measure: str) -> Tensor:
    rule = target.claim.rule or "norm" if measure == "auto" else measure
    return target.filters.stds(target.weight) if rule == "std" else target.filters.norms(target.weight)
