"""Scale the filters of a weight so that the network computes the same: bias and running statistics follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import Filters, Per, ScaledInput, filters_of, repair_statistics_, safe_factors, whole
from normreg_plugins.core.verdicts import Finding, Kind


@dataclass(eq=False)
class Target:
    """One weight that a method acts on."""

    finding: Finding
    parts: Filters
    """The parts that are scaled by one factor each: filters, unless the method or the norm layer needs others."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """What the method keeps of this weight from its start on. The optimizer's state carries it."""
    scratch: dict[str, Tensor] = field(default_factory=dict)
    """What the method needs within one update; not saved."""
    filters: Filters = field(init=False)

    def __post_init__(self) -> None:
        self.filters = filters_of(self.finding.layer.module)

    @property
    def name(self) -> str:
        return self.finding.layer.name

    @property
    def weight(self) -> nn.Parameter:
        return self.finding.layer.weight


def target_of(finding: Finding, per: Per) -> Target:
    """A target, divided as `per` says. Filters of which a norm layer computes one statistic form one part."""
    groups = {reader.groups for reader in finding.readers}
    if finding.kind is Kind.PER_GROUP:
        per = "group" if len(groups) == 1 else "layer"
    elif finding.kind is Kind.PER_LAYER:
        per = "layer"
    return Target(finding, filters_of(finding.layer.module, per, max(groups, default=1)))


class Scaled(NamedTuple):
    """What happened to one target: the size of each part before, and the factor it was scaled by."""

    target: Target
    size: Tensor
    factor: Tensor


def batches(targets: Sequence[Target]) -> Iterator[Sequence[Target]]:
    """Targets to measure and scale together.

    On a CPU one weight at a time is fastest, because what was measured is still in the cache. On a GPU all weights
    together are fastest, because that takes few calls.
    """
    on_cpu = [target for target in targets if target.weight.device.type == "cpu"]
    elsewhere = [target for target in targets if target.weight.device.type != "cpu"]
    yield from ([target] for target in on_cpu)
    if elsewhere:
        yield elsewhere


def to_radius(batch: Sequence[Target], radius: float | Sequence[Tensor]) -> list[Scaled]:
    """The norms of each target's parts, and the factors r / ||w||; 1 for a filter that is zero, NaN or infinite."""
    norms = [target.parts.norms(target.weight) for target in batch]
    if isinstance(radius, float) and len(norms) > 1:  # one operation for all
        flat = safe_factors(radius, torch.cat([n.flatten() for n in norms]))
        factors = [f.view_as(n) for f, n in zip(flat.split([n.numel() for n in norms]), norms)]
    else:
        radii = [radius] * len(norms) if isinstance(radius, float) else radius
        factors = list(map(safe_factors, radii, norms))
    return list(map(Scaled, batch, norms, factors))


@torch.no_grad()
def scale_(scaled: Iterable[Scaled]) -> list[Scaled]:
    """w <- a w for each part of each target. The biases and running statistics that have to follow do so."""
    done, inputs = [], []
    for each in scaled:
        inputs += _scale_weight_(each.target, each.factor)
        done.append(each)
    repair_statistics_(inputs)
    return done


def _scale_weight_(target: Target, factor: Tensor) -> list[ScaledInput]:
    """Scale one weight, and say what that means for the norm layers behind it."""
    layer, readers = target.finding.layer, target.finding.readers
    if target.parts.dims == target.filters.dims or target.parts.together > 1:
        target.parts.scale_(target.weight, factor)
        ratio = whole(target.parts.per_channel(factor))
    else:  # the positions of one filter have factors of their own, so its norm changes by this ratio
        before = target.filters.norms(target.weight)
        target.parts.scale_(target.weight, factor)
        ratio = whole(safe_factors(target.filters.norms(target.weight), before).flatten())
    if layer.bias is not None and any(r.kind in (Kind.PER_GROUP, Kind.PER_LAYER) for r in readers):
        layer.bias.mul_(ratio)  # group and layer norms see the bias too
    return [ScaledInput(reader.norm, reader.channels, layer.bias, ratio) for reader in readers]
