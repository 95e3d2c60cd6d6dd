"""Scale the filters of a weight so that the network computes the same: bias and running statistics follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.model import (
    DividedWeight,
    ScaledInput,
    all_safe_factors,
    full_tensors,
    repair_statistics_,
    safe_factors,
    scale_each_filter_,
)
from normreg_plugins.core.verdicts import Kind, WeightReport


@dataclass(eq=False)
class Target(DividedWeight):
    """One weight that a method acts on."""

    report: WeightReport = field(kw_only=True)


class Scaled(NamedTuple):
    """What happened to a target: the size of each part before, and its factor."""

    target: Target
    size: Tensor
    factor: Tensor
    done: bool = False
    """Whether the weight itself is scaled already."""


def to_radius(batch: Sequence[Target], radius: float | str, center: bool = False) -> list[Scaled]:
    """The norms of the parts, and the factors r / ||w||; 1 for a filter that is zero, NaN or infinite.

    Args:
        radius: r, or the name under which each target keeps its own.
        center: subtract the mean of each part first.
    """
    radii = radius if isinstance(radius, float) else [target.kept[radius] for target in batch]
    if batch[0].in_one_launch:
        return in_one_launch(batch, radii, center=center)
    for target in batch if center else ():
        target.parts.center_(target.values, target.acts)
    norms = [target.parts.norms(target.values) for target in batch]
    return list(map(Scaled, batch, norms, all_safe_factors(radii, norms)))


def in_one_launch(batch: Sequence[Target], amounts: float | Sequence[Tensor | float], **how: bool) -> list[Scaled]:
    """Measure and scale all at once."""
    found = scale_each_filter_([target.weight for target in batch], amounts, acts=batch[0].acts, **how)
    return [Scaled(target, size, factor, True) for target, (size, factor) in zip(batch, found)]


@torch.no_grad()
def scale_(scaled: Iterable[Scaled]) -> list[Scaled]:
    """w <- a w for each part of each target. The biases and running statistics that have to follow do so."""
    done, ratios = [], []
    for each in scaled:
        ratio = _scale_parts_(each)
        _scale_bias_(each.target.report, ratio)
        done.append(each)
        ratios.append(ratio)
    repair_statistics_(_scaled_inputs([each.target.report for each in done], ratios))
    return done


def _scale_parts_(scaled: Scaled) -> Tensor:
    """Scale the parts. Returns each filter's norm now, divided by its norm before."""
    target, _, factor, done = scaled
    if done:
        return target.parts.per_channel(factor)
    factor = factor if target.acts is None else torch.where(target.acts, factor, 1.0)
    if target.parts.dims == target.filters.dims or target.parts.together > 1:
        target.parts.scale_(target.values, factor)
        return target.parts.per_channel(factor)
    before = target.filters.norms(target.values)  # the positions of one filter have factors of their own
    target.parts.scale_(target.values, factor)
    return safe_factors(target.filters.norms(target.values), before).flatten()


def _scale_bias_(report: WeightReport, ratio: Tensor) -> None:
    """Scale the bias if a group or layer norm sees it too."""
    bias = report.layer.bias
    if bias is not None and any(reader.kind in (Kind.PER_GROUP, Kind.PER_LAYER) for reader in report.readers):
        bias.mul_(ratio)


def _scaled_inputs(reports: Sequence[WeightReport], ratios: Sequence[Tensor]) -> list[ScaledInput]:
    """The norm layers whose inputs were scaled. They are not sharded, so they need all of each ratio and bias."""
    biases = full_tensors([f.layer.bias if f.layer.bias is None else f.layer.bias.detach() for f in reports])
    return [
        ScaledInput(reader.norm, reader.channels, bias, ratio)
        for report, bias, ratio in zip(reports, biases, full_tensors(ratios))
        for reader in report.readers
    ]
