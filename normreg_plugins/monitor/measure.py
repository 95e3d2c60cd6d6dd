"""What one update did to the filters of one layer, and how far running statistics moved, as sums on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import (
    Filters,
    at_least_float32,
    is_zero,
    keeps_channel_statistics,
    norm_eps,
)


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
    """Of the layer as one vector, as are the next two."""
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
    """See `optimizer_direction.applied_norm`."""
    rate: float | Tensor


@torch.no_grad()
def sums_of(filters: Filters, change: Change) -> Tensor:
    """The entries of `Sums` for one layer, on the layer's device."""
    before, after = rows(filters, change.before), rows(filters, change.after)
    norms_before, norms = (torch.linalg.vector_norm(each, dim=1) for each in (before, after))
    sound = _sound(norms)
    inverse = torch.where(sound, 1 / norms, torch.zeros_like(norms))
    angles = angles_between_(before, after, norms_before, norms)
    turned = sound & _sound(norms_before)
    missing = norms.new_tensor(float("nan"))
    return torch.stack(
        [
            torch.full_like(missing, norms.numel()),
            norms.sum(),
            norms.min(),
            norms.max(),
            is_zero(norms).sum(),
            (~norms.isfinite()).sum(),
            sound.sum(),
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
    channels = [axis for axis in range(view.ndim) if axis not in filters.dims]
    matrix = view.permute(*channels, *filters.dims).flatten(0, len(channels) - 1).flatten(1)
    return matrix.to(at_least_float32(weight.dtype))


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


class Drift(NamedTuple):
    """How far the running statistics of one norm layer moved since the last report, as a mean over its channels.

    A method that rescales filters moves these statistics too, so its action is part of the drift.
    """

    mean: float
    """|mean - mean before| / sqrt(variance before + eps)."""
    variance: float
    """|ln((variance + eps) / (variance before + eps))|."""


class RunningStatistics:
    """Compares the running statistics of a model with those saved at the last report."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = {
            name: module
            for name, module in model.named_modules()
            if keeps_channel_statistics(module) and getattr(module, "running_mean", None) is not None
        }
        self._before: list[tuple[Tensor, Tensor]] = []

    @property
    def names(self) -> list[str]:
        return list(self._layers)

    @torch.no_grad()
    def drift(self) -> list[Tensor]:
        """The entries of `Drift` for each norm layer, on its device; an empty list before the first `save`."""
        found = []
        for (mean, variance), layer in zip(self._before, self._layers.values()):
            eps = norm_eps(layer)
            shift = (layer.running_mean - mean).abs() / (variance + eps).sqrt()
            growth = ((layer.running_var + eps) / (variance + eps)).log().abs()
            found.append(torch.stack([shift.mean(), growth.mean()]))
        return found

    @torch.no_grad()
    def save(self) -> None:
        self._before = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in self._layers.values()]
