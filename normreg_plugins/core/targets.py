"""The weights a method acts on, and how to scale them without changing the function of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.filters import Filters, Unit, filters_of, safe_factors
from normreg_plugins.core.parts import norm_eps
from normreg_plugins.core.reads import NOT_OURS, NormRead
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.verdict import Kind


@dataclass(eq=False)
class Target:
    """One weight under a method."""

    claim: Claim
    filters: Filters
    whole: Filters = field(init=False)
    """Its plain filters, whatever unit the method measures."""

    def __post_init__(self) -> None:
        self.whole = filters_of(self.claim.layer.module)

    @property
    def name(self) -> str:
        return self.claim.layer.name

    @property
    def weight(self) -> nn.Parameter:
        return self.claim.layer.weight

    @property
    def bias_scales_along(self) -> bool:
        """Group and layer norms see the bias too, so it is scaled with its filters."""
        return self.claim.layer.bias is not None and any(r.kind in (Kind.PER_GROUP, Kind.PER_LAYER) for r in self.reads)

    @property
    def reads(self) -> tuple[NormRead, ...]:
        return self.claim.reads


def target_of(claim: Claim, unit: Unit) -> Target:
    """A target in the unit that keeps the function: a whole group or layer where its norm needs that."""
    groups = 1
    if claim.kind is Kind.PER_GROUP:
        unit, groups = "group", max(read.groups for read in claim.reads)
        if len({read.groups for read in claim.reads}) > 1:
            unit = "layer"
    elif claim.kind is Kind.PER_LAYER:
        unit = "layer"
    return Target(claim, filters_of(claim.layer.module, unit, groups))


class Rescaled(NamedTuple):
    """What happened to one target: the measure of each unit before, and the factor it was scaled by."""

    target: Target
    measure: Tensor
    factor: Tensor


Measure = Callable[[Target], Tensor]
Rule = Callable[[Sequence[Target], list[Tensor]], list[Tensor]]


@torch.no_grad()
def rescale_(targets: Sequence[Target], measure: Measure, rule: Rule) -> list[Rescaled]:
    """w <- a w for every unit, with the statistics of the norms behind it (and what else must follow) scaled alike.

    Args:
        measure: the size of each unit of one target, reduced axes kept.
        rule: from the measures of some targets to their factors a.
    """
    done: list[Rescaled] = []
    repairs: list[tuple[NormRead, Tensor | None, Tensor]] = []
    for batch in _batches(targets):
        measures = [measure(target) for target in batch]
        for target, size, factor in zip(batch, measures, rule(batch, measures)):
            ratio = _scale_(target, factor)
            repairs += [(read, target.claim.layer.bias, ratio) for read in target.reads]
            done.append(Rescaled(target, size, factor))
    repair_statistics_(repairs)
    return done


def _scale_(target: Target, factor: Tensor) -> Tensor:
    """Scale one weight; return what that means for each filter, which is what the norms behind it see."""
    if target.filters.dims == target.whole.dims or target.filters.per_unit > 1:
        target.filters.scale_(target.weight, factor)
        ratio = _gathered(target.filters.per_channel(factor))
    else:  # positions of one filter get factors of their own: a change of direction, and of length by this ratio
        before = target.whole.norms(target.weight)
        target.filters.scale_(target.weight, factor)
        ratio = _gathered(safe_factors(target.whole.norms(target.weight), before).flatten())
    if target.bias_scales_along:
        target.claim.layer.bias.mul_(ratio)  # type: ignore[union-attr]
    return ratio


def _batches(targets: Sequence[Target]) -> Iterator[Sequence[Target]]:
    """On a CPU one by one, as what was just measured is still in the cache; elsewhere all in few operations."""
    on_cpu = [target for target in targets if target.weight.device.type == "cpu"]
    elsewhere = [target for target in targets if target.weight.device.type != "cpu"]
    yield from ([target] for target in on_cpu)
    if elsewhere:
        yield elsewhere


def _gathered(values: Tensor) -> Tensor:
    """All of a sharded tensor: a shard of a weight is whole filters, but the norms behind it are not sharded."""
    return values.full_tensor() if hasattr(values, "full_tensor") else values


def repair_statistics_(scaled: Sequence[tuple[NormRead, Tensor | None, Tensor]]) -> None:
    """Keep the evaluated function when filters with bias b were scaled by a.

    The norm's input a (y - b) + b has mean a (mean - b) + b and standard deviation a times the old one. What the norm
    divides by is sqrt(var + eps), so var <- a^2 (var + eps) - eps keeps the quotient exactly, down to var = 0. Both are
    written so that a = 1 changes no bit.

    Args:
        scaled: a norm that reads the filters, the layer's bias, and one factor per filter.
    """
    factors, shifts = _by_norm(scaled)
    if not factors:
        return
    means, variances = ([getattr(n, f"running_{which}") for n in factors] for which in ("mean", "var"))
    scales = [*factors.values()]
    squares = torch._foreach_mul(scales, scales)
    grown = torch._foreach_sub(squares, 1.0)
    torch._foreach_mul_(grown, [norm_eps(norm) for norm in factors])
    torch._foreach_mul_(means, scales)
    torch._foreach_mul_(variances, squares)
    torch._foreach_add_(variances, grown)
    torch._foreach_clamp_min_(variances, 0.0)
    if shifts:
        torch._foreach_add_([mean for mean, norm in zip(means, factors) if norm in shifts], [*shifts.values()])


def _by_norm(
    scaled: Sequence[tuple[NormRead, Tensor | None, Tensor]],
) -> tuple[dict[nn.Module, Tensor], dict[nn.Module, Tensor]]:
    """For each norm that keeps statistics one factor a per channel, and b (1 - a) where its filters have a bias.

    A norm behind a concatenation has channels of several layers, and must be met once all the same.
    """
    factors: dict[nn.Module, Tensor] = {}
    shifts: dict[nn.Module, Tensor] = {}
    for read, bias, by_filter in scaled:
        norm = read.norm
        if getattr(norm, "running_mean", None) is None:
            continue
        factor = _by_channel(by_filter, read, fill=1.0)
        factors[norm] = factors[norm] * factor if norm in factors else factor
        if bias is not None:
            shift = _by_channel(_gathered(bias.detach()), read, fill=0.0) * (1 - factor)
            shifts[norm] = shifts[norm] + shift if norm in shifts else shift
    return factors, {norm: shifts[norm] for norm in factors if norm in shifts}


def _by_channel(values: Tensor, read: NormRead, fill: float) -> Tensor:
    """From one value per filter to one per channel of the norm."""
    if read.channels is None:
        return values
    ours = read.channels != NOT_OURS
    return torch.where(ours, values[read.channels.clamp_min(0)], torch.full_like(values[:1], fill))
