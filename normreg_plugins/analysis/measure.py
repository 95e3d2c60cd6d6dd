"""What one update did to the filters of one layer, as a few sums that stay on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.filters import Filters, at_least_float32, is_zero


class Sums(NamedTuple):
    """Sums over filters. Those of several layers add up to those of all their filters: see `report.total`.

    A *sound* filter is neither zero nor broken. Rates and angles exist for sound filters only.
    """

    filters: float
    norm: float
    least: float
    greatest: float
    zero: float
    broken: float
    sound: float
    eta_over_norm: float
    eta_over_squared_norm: float
    gradient_norm: float
    """Of the whole layer, as are the next two."""
    applied_norm: float
    """Of what the optimizer multiplied by its rate."""
    norm_before: float
    angle: float
    """In degrees."""
    turned: float
    """Filters that were sound before and after, which have an angle."""


class Change(NamedTuple):
    """One weight around one update."""

    before: Tensor
    after: Tensor
    gradient: Tensor | None
    applied: Tensor | None
    """See `applied.applied_gradient`."""
    rate: float | Tensor


@torch.no_grad()
def sums_of(filters: Filters, change: Change) -> Tensor:
    """The entries of `Sums` for one layer, on the layer's device."""
    norms_before = filters.norms(change.before)
    norms = filters.norms(change.after)
    has_direction = _sound(norms)
    inverse = torch.where(has_direction, 1 / norms, torch.zeros_like(norms))
    angles = angles_between(filters, change.before, change.after)
    turned = has_direction & _sound(norms_before)
    return torch.stack(
        [
            torch.full_like(norms.sum(), norms.numel()),
            norms.sum(),
            norms.min(),
            norms.max(),
            is_zero(norms).sum(),
            (~norms.isfinite()).sum(),
            has_direction.sum(),
            inverse.sum() * change.rate,
            inverse.square().sum() * change.rate,
            _whole(change.gradient, norms),
            _whole(change.applied, norms),
            torch.linalg.vector_norm(norms_before),
            torch.where(turned, angles, torch.zeros_like(angles)).sum(),
            turned.sum(),
        ]
    )


def angles_between(filters: Filters, before: Tensor, after: Tensor) -> Tensor:
    """The angle between each filter before and after, in degrees, with the reduced axes kept.

    The change is split into a part along the filter and a part across it. Their ratio keeps its digits for the small
    angles of training, where the arccosine of a scalar product in float32 would be 0.
    """
    wide = at_least_float32(before.dtype)
    old = filters.view(before).to(wide)
    norms = filters.norms(before)
    direction = old / norms
    moved = filters.view(after).to(wide) - old
    along = (moved * direction).sum(filters.dims, keepdim=True)
    across = torch.linalg.vector_norm(moved - along * direction, dim=filters.dims, keepdim=True)
    return torch.rad2deg(torch.atan2(across, norms + along))


def _sound(norms: Tensor) -> Tensor:
    return ~is_zero(norms) & norms.isfinite()


def _whole(values: Tensor | None, norms: Tensor) -> Tensor:
    """The norm of a whole layer's gradient; NaN without one."""
    return norms.new_tensor(float("nan")) if values is None else torch.linalg.vector_norm(values, dtype=norms.dtype)
