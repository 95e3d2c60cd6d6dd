"""What one update did to the filters of one layer, as a few sums that stay on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.model import Filters, at_least_float32, is_zero


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
    """A copy that may be overwritten."""
    after: Tensor
    gradient_norm: Tensor | None
    applied_norm: Tensor | None
    """See `applied.applied_norm`."""
    rate: float | Tensor


@torch.no_grad()
def sums_of(filters: Filters, change: Change) -> Tensor:
    """The entries of `Sums` for one layer, on the layer's device."""
    before, after = rows(filters, change.before), rows(filters, change.after)
    norms_before, norms = (torch.linalg.vector_norm(each, dim=1) for each in (before, after))
    has_direction = _sound(norms)
    inverse = torch.where(has_direction, 1 / norms, torch.zeros_like(norms))
    angles = angles_between_(before, after, norms_before, norms)
    turned = has_direction & _sound(norms_before)
    missing = norms.new_tensor(float("nan"))
    return torch.stack(
        [
            torch.full_like(missing, norms.numel()),
            norms.sum(),
            norms.min(),
            norms.max(),
            is_zero(norms).sum(),
            (~norms.isfinite()).sum(),
            has_direction.sum(),
            inverse.sum() * change.rate,
            inverse.square().sum() * change.rate,
            missing if change.gradient_norm is None else change.gradient_norm,
            missing if change.applied_norm is None else change.applied_norm,
            torch.linalg.vector_norm(norms_before),
            torch.where(turned, angles, torch.zeros_like(angles)).sum(),
            turned.sum(),
        ]
    )


def rows(filters: Filters, weight: Tensor) -> Tensor:
    """One filter a row, in float32 at least; the weight's own memory where its layout allows."""
    view = filters.view(weight)
    kept = [axis for axis in range(view.ndim) if axis not in filters.dims]
    return view.permute(*kept, *filters.dims).flatten(0, len(kept) - 1).flatten(1).to(at_least_float32(weight.dtype))


def angles_between_(before: Tensor, after: Tensor, norms_before: Tensor, norms: Tensor) -> Tensor:
    """The angle between each row before and after, in degrees. `before` is overwritten, which saves temporaries.

    The change is split into a part along the filter and a part across it. Their ratio keeps its digits for the small
    angles of training, where the arccosine of a scalar product in float32 would be 0.

    Args:
        norms_before, norms: of the rows before and after.
    """
    change = torch.sub(after, before, out=before)
    size = torch.linalg.vector_norm(change, dim=1)
    # <change, after> from the three sides of the triangle. Its rounding error lies along the filter, so it enters the
    # part across it by its square only.
    along = (size.square() + (norms - norms_before) * (norms + norms_before)) / (2 * norms)
    across = torch.linalg.vector_norm(change.addcmul_(after, (along / norms)[:, None], value=-1), dim=1)
    return torch.rad2deg(torch.atan2(across, norms - along))


def _sound(norms: Tensor) -> Tensor:
    return ~is_zero(norms) & norms.isfinite()
