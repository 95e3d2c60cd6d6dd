"""A weight that a method acts on, and how to scale it so that the network computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import (
    Filters,
    Layer,
    ScaledInput,
    full_tensors,
    is_sharded,
    repair_statistics_,
    safe_factors,
)
from normreg_plugins.core.verdicts import Kind, WeightReport


@dataclass(eq=False)
class Target:
    """One weight that a method acts on."""

    report: WeightReport
    parts: Filters
    """The parts that get one factor each: filters, unless the method or the norm layer needs others."""
    filters: Filters
    state: dict[str, Tensor] = field(default_factory=dict)
    """What the method remembers of this weight. Checkpoints of the optimizer carry it."""
    scratch: dict[str, Tensor] = field(default_factory=dict)
    """What the method needs within one update; not saved."""
    started: bool = False
    """Whether the method acts on it: not before it is trained. `Method.start` was called, or its state was loaded."""

    @property
    def layer(self) -> Layer:
        return self.report.layer

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def weight(self) -> nn.Parameter:
        return self.layer.weight

    @property
    def bias(self) -> Tensor | None:
        return getattr(self.layer.module, "bias", None)

    def norms(self) -> Tensor:
        return self.parts.norms(self.weight)

    def stds(self) -> Tensor:
        return self.parts.stds(self.weight)


class Scaled(NamedTuple):
    """A target that was scaled, and what was measured of each part before."""

    target: Target
    size: Tensor


@torch.no_grad()
def scale_(targets: Sequence[Target], sizes: Sequence[Tensor], factors: Sequence[Tensor]) -> list[Scaled]:
    """w <- a w for each part of each target; biases and running statistics follow.

    Args:
        sizes: what was measured of each part before, for the check for NaN and Inf.
        factors: a, for each part.
    """
    ratios = [_scale_parts_(target, factor) for target, factor in zip(targets, factors)]
    for target, ratio in zip(targets, ratios):
        _scale_bias_(target, ratio)
    repair_statistics_(_scaled_inputs(targets, ratios))
    return list(map(Scaled, targets, sizes))


def _scale_parts_(target: Target, factor: Tensor) -> Tensor:
    """Scales the parts. Returns each filter's norm now, divided by its norm before."""
    if target.parts.dims == target.filters.dims or target.parts.filters_per_part > 1:
        target.parts.scale_(target.weight, factor)
        return target.parts.per_channel(factor)
    before = target.filters.norms(target.weight)  # the positions of one filter have different factors
    target.parts.scale_(target.weight, factor)
    return safe_factors(target.filters.norms(target.weight), before).flatten()


def _scale_bias_(target: Target, ratio: Tensor) -> None:
    """Scales the bias if a group or layer norm sees it together with the filters."""
    readers = target.report.readers
    if target.bias is not None and any(reader.kind in (Kind.PER_GROUP, Kind.PER_LAYER) for reader in readers):
        target.bias.mul_(ratio)


def _scaled_inputs(targets: Sequence[Target], ratios: Sequence[Tensor]) -> list[ScaledInput]:
    """The norm layers whose inputs were scaled. They are not sharded, so they need full ratios and biases."""
    biases = [None if target.bias is None else target.bias.detach() for target in targets]
    if any(map(is_sharded, ratios)):
        biases, ratios = full_tensors(biases), full_tensors(ratios)
    return [
        ScaledInput(reader.norm, reader.channels, bias, ratio)
        for target, bias, ratio in zip(targets, biases, ratios)
        for reader in target.report.readers
    ]
