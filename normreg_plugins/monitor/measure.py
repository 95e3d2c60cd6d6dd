"""What one update did to the filters of one layer, and how far running statistics moved, as sums on the device."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import (
    Filters,
    at_least_float32,
    is_zero,
    keeps_channel_statistics,
    norm_eps,
)

ROUNDING = 8
"""A change by fewer epsilons of the dtype has no direction. A rescale changes a filter of that norm by so much."""


class Sums(NamedTuple):
    """Sums over filters. Those of several layers add up to those of all their filters: see `report.total`.

    A *sound* filter is neither zero nor broken. Rates exist for sound filters only, and turns for those that were sound
    before the update too.
    """

    filters: float
    norm: float
    least: float
    greatest: float
    greatest_entry: float
    """Of |w|."""
    zero: float
    broken: float
    sound: float
    eta_over_norm: float
    eta_over_squared_norm: float
    standardized: float
    """Sound filters of weight-standardized layers."""
    eta_over_std: float
    """Over these filters."""
    gradient_norm: float
    """Of the layer as one vector, as are the next two."""
    applied_norm: float
    """Of what the optimizer multiplied by its rate."""
    norm_before: float
    turned: float
    """Filters that were sound before and after."""
    angle: float
    """In degrees."""
    update_ratio: float
    moved: float
    """Filters of these that moved by more than rounding."""
    radial_share: float
    decayed: float
    """Filters that weight decay alone keeps from growing."""
    expected_angle: float
    """Over these filters, in degrees."""


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


class Turns(NamedTuple):
    """What one update did to each row."""

    angle: Tensor
    """Between before and after, in degrees."""
    update_ratio: Tensor
    """||dw|| / ||w||, with w from before the update."""
    radial_share: Tensor
    """<dw, w> / (||dw|| ||w||): above 0 where the update lengthens the filter."""


@torch.no_grad()
def sums_of(filters: Filters, change: Change) -> Tensor:
    """The entries of `Sums` for one layer, on the layer's device."""
    before, after = rows(filters, change.before), rows(filters, change.after)
    norms_before, norms = (torch.linalg.vector_norm(each, dim=1) for each in (before, after))
    missing = norms.new_tensor(math.nan)
    sums = {
        "filters": torch.full_like(missing, norms.numel()),
        "norm": norms.sum(),
        "least": norms.min(),
        "greatest": norms.max(),
        "greatest_entry": torch.linalg.vector_norm(after, math.inf),
        "zero": is_zero(norms).sum(),
        "broken": (~norms.isfinite()).sum(),
        "gradient_norm": missing if change.gradient_norm is None else change.gradient_norm,
        "applied_norm": missing if change.applied_norm is None else change.applied_norm,
        "norm_before": torch.linalg.vector_norm(norms_before),
        **_rates(filters, change, norms),
        **_turning(turns_(before, after, norms_before, norms), _sound(norms) & _sound(norms_before)),
    }
    return torch.stack([sums[name] for name in Sums._fields])


def _rates(filters: Filters, change: Change, norms: Tensor) -> dict[str, Tensor]:
    sound, zero = _sound(norms), torch.zeros_like(norms[0])
    inverse = _where(sound, 1 / norms)
    sums = {
        "sound": sound.sum(),
        "eta_over_norm": inverse.sum() * change.rate,
        "eta_over_squared_norm": inverse.square().sum() * change.rate,
        **dict.fromkeys(("standardized", "eta_over_std", "decayed", "expected_angle"), zero),
    }
    if change.standardized:
        stds = filters.stds(change.after).flatten()
        sums["standardized"] = _sound(stds).sum()
        sums["eta_over_std"] = _where(_sound(stds), 1 / stds).sum() * change.rate
    if change.expected_angle is not None:
        sums["decayed"] = zero + norms.numel()
        sums["expected_angle"] = sums["decayed"] * change.expected_angle
    return sums


def _turning(turns: Turns, turned: Tensor) -> dict[str, Tensor]:
    moved = turned & (turns.update_ratio > ROUNDING * torch.finfo(turns.update_ratio.dtype).eps)
    return {
        "turned": turned.sum(),
        "angle": _where(turned, turns.angle).sum(),
        "update_ratio": _where(turned, turns.update_ratio).sum(),
        "moved": moved.sum(),
        "radial_share": _where(moved, turns.radial_share).sum(),
    }


def rows(filters: Filters, weight: Tensor) -> Tensor:
    """One filter a row, in float32 at least; the weight's own memory where its layout allows."""
    view = filters.view(weight)
    channels = [axis for axis in range(view.ndim) if axis not in filters.dims]
    matrix = view.permute(*channels, *filters.dims).flatten(0, len(channels) - 1).flatten(1)
    return matrix.to(at_least_float32(weight.dtype))


def turns_(before: Tensor, after: Tensor, norms_before: Tensor, norms: Tensor) -> Turns:
    """How far each row turned and moved. `before` is overwritten, which saves temporaries.

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
    return Turns(
        torch.rad2deg(2 * torch.asin((chord / (2 * norms)).clamp(max=1))),
        change / norms_before,
        (growth - chord.square() / (2 * norms)) / change,
    )


def _where(mask: Tensor, values: Tensor) -> Tensor:
    return torch.where(mask, values, torch.zeros_like(values))


def _sound(norms: Tensor) -> Tensor:
    return ~is_zero(norms) & norms.isfinite()


class NormLayer(NamedTuple):
    """The running statistics of one norm layer.

    The drifts are means over its channels of how far they moved since the last report, NaN in the first. A method that
    rescales filters moves these statistics too, so its action is part of the drift.
    """

    mean_drift: float
    """|mean - mean before| / sqrt(variance before + eps)."""
    variance_drift: float
    """|ln((variance + eps) / (variance before + eps))|."""
    greatest_variance: float


class RunningStatistics:
    """Compares the running statistics of a model with those saved at the last report."""

    def __init__(self, model: nn.Module) -> None:
        self._layers: dict[str, Any] = {
            name: module
            for name, module in model.named_modules()
            if keeps_channel_statistics(module) and getattr(module, "running_mean", None) is not None
        }
        self._before: list[tuple[Tensor, Tensor]] = []

    @property
    def names(self) -> list[str]:
        return list(self._layers)

    @torch.no_grad()
    def measure(self) -> list[Tensor]:
        """The entries of `NormLayer` for each norm layer, on its device."""
        found = []
        for place, layer in enumerate(self._layers.values()):
            greatest = layer.running_var.max()
            missing = torch.full_like(greatest, math.nan)
            drifts = _drifts(layer, *self._before[place]) if self._before else (missing, missing)
            found.append(torch.stack([*drifts, greatest]))
        return found

    @torch.no_grad()
    def save(self) -> None:
        self._before = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in self._layers.values()]


def _drifts(layer: Any, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    eps = norm_eps(layer)
    shift = (layer.running_mean - mean).abs() / (variance + eps).sqrt()
    growth = ((layer.running_var + eps) / (variance + eps)).log().abs()
    return shift.mean(), growth.mean()
