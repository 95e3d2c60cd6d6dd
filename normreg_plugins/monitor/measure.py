"""What one update did to the filters of one layer, on the layer's device."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.model import Filters, at_least_float32, is_zero

ROUNDING = 8
"""A change by fewer epsilons of the dtype has no direction. A rescale changes a filter of that norm by so much."""


class Change(NamedTuple):
    """One weight around one update."""

    before: Tensor
    """A copy that may be overwritten."""
    after: Tensor
    gradient_norm: Tensor | None
    applied_norm: Tensor | None
    """See `optimizer_direction.applied_norm`."""
    rate: float | Tensor
    expected_angle: float | Tensor | None
    """See `optimizer_direction.equilibrium_angle`."""
    standardized: bool
    """Whether the layer divides each filter by its standard deviation."""


class Numbers(NamedTuple):
    """Of one layer. What does not exist is NaN, such as the rate of a filter that is zero or broken.

    From `norm` on there is one number for each filter. The others are of the weight as one vector.
    """

    gradient_norm: Tensor
    applied_norm: Tensor
    """Of what the optimizer multiplied by its rate."""
    norm_before: Tensor
    greatest_entry: Tensor
    norm: Tensor
    zero: Tensor
    """1 if the filter has no direction, else 0."""
    eta_over_norm: Tensor
    eta_over_squared_norm: Tensor
    eta_over_std: Tensor
    """In weight-standardized layers."""
    rotation_degrees: Tensor
    """Between before and after."""
    expected_rotation_degrees: Tensor
    update_ratio: Tensor
    """||dw|| / ||w||, with w from before the update."""
    radial_share: Tensor
    """<dw, w> / (||dw|| ||w||): above 0 where the update lengthens the filter."""


MEANS = Numbers._fields[6:]
"""Those of filters whose mean a report has under the same name."""


@torch.no_grad()
def numbers_of(filters: Filters, change: Change) -> Numbers:
    before, after = rows(filters, change.before), rows(filters, change.after)
    norms_before, norms = (torch.linalg.vector_norm(each, dim=1) for each in (before, after))
    missing = torch.full_like(norms, math.nan)
    stds = filters.stds(change.after).flatten() if change.standardized else missing
    sound = _is_sound(norms)
    angle, update_ratio, radial_share = _turns(before, after, norms_before, norms)
    turned = sound & _is_sound(norms_before)
    moved = turned & (update_ratio > ROUNDING * torch.finfo(norms.dtype).eps)
    return Numbers(
        gradient_norm=missing[0] if change.gradient_norm is None else change.gradient_norm,
        applied_norm=missing[0] if change.applied_norm is None else change.applied_norm,
        norm_before=torch.linalg.vector_norm(norms_before),
        greatest_entry=torch.linalg.vector_norm(after, math.inf),
        norm=norms,
        zero=is_zero(norms),
        eta_over_norm=torch.where(sound, change.rate / norms, missing),
        eta_over_squared_norm=torch.where(sound, change.rate / norms.square(), missing),
        eta_over_std=torch.where(_is_sound(stds), change.rate / stds, missing),
        rotation_degrees=torch.where(turned, angle, missing),
        expected_rotation_degrees=missing if change.expected_angle is None else 0 * norms + change.expected_angle,
        update_ratio=torch.where(turned, update_ratio, missing),
        radial_share=torch.where(moved, radial_share, missing),
    )


def rows(filters: Filters, weight: Tensor) -> Tensor:
    """One filter a row, in float32 at least; the weight's own memory where its layout allows."""
    view = filters.view(weight)
    channels = [axis for axis in range(view.ndim) if axis not in filters.dims]
    matrix = view.permute(*channels, *filters.dims).flatten(0, len(channels) - 1).flatten(1)
    return matrix.to(at_least_float32(weight.dtype))


def _turns(before: Tensor, after: Tensor, norms_before: Tensor, norms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Angle, update ratio and radial share of each row. `before` is overwritten, which saves temporaries.

    It takes one pass over both: d = w' - s w with s = ||w'|| / ||w|| joins two vectors of the same norm. Errors of s
    lie along the filter and enter ||d|| by their square only, so small angles keep their digits. The rest follows from
    ||d|| and the two norms, because <d, s w> = -||d||^2 / 2.

    Args:
        norms_before, norms: of the rows before (w) and after (w').
    """
    scale = norms / norms_before
    chord = torch.linalg.vector_norm(torch.addcmul(after, before, scale[:, None], value=-1, out=before), dim=1)
    growth = norms - norms_before
    change = (chord.square() / scale + growth.square()).sqrt()  # ||dw||
    return (
        torch.rad2deg(2 * torch.asin((chord / (2 * norms)).clamp(max=1))),
        change / norms_before,
        (growth - chord.square() / (2 * norms)) / change,
    )


def _is_sound(norms: Tensor) -> Tensor:
    return ~is_zero(norms) & norms.isfinite()
