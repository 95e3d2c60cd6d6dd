"""What is found of one layer, and how a norm layer reads its filters: which of them share a statistic."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import (
    OTHER_LAYER,
    Layer,
    WeightNormalization,
    is_frozen,
    is_instance_norm,
    keeps_channel_statistics,
)
from normreg_plugins.core.verdicts.verdict import Kind, Verdict


@dataclass(eq=False)
class NormReader:
    """One norm layer that reads a layer's filters."""

    name: str
    norm: nn.Module
    kind: Kind
    channels: Tensor | None = None
    """For channel statistics: the filter behind each channel of the norm layer, or OTHER_LAYER; None is one to one."""
    groups: int = 1
    """For PER_GROUP: the number of runs of neighbouring filters."""


@dataclass(eq=False)
class WeightReport:
    """One layer, its kind, and the norm layers that read it."""

    layer: Layer
    kind: Kind
    reason: str
    readers: tuple[NormReader, ...] = ()
    """The norm layers that read its output."""
    feeds_scale_bias: bool = False
    weight_normalization: WeightNormalization | None = None
    """What its own forward divides the weight by, if it does."""
    traced: bool = False
    """Whether a traced forward called it."""
    repairable: bool = False
    """Whether a traced forward showed its norm layers, each with statistics of these filters alone."""

    @property
    def norms(self) -> tuple[str, ...]:
        """The names of these norm layers."""
        return tuple(dict.fromkeys(reader.name for reader in self.readers))

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.layer.name, self.kind, self.norms, self.reason)


def self_normalized(by: WeightNormalization) -> tuple[Kind, str]:
    """The kind of a layer whose own forward normalizes its weight (AWS paper, eq. 2-3), with the reason."""
    kind = Kind.PER_LAYER if by == "matrix" else Kind.INVARIANT
    what = "the whole weight" if by == "matrix" else "each filter"
    return kind, f"its own forward normalizes {what} ({by})"


class MixedStatisticError(Exception):
    """A norm layer computes one statistic of filters that may be scaled by different factors. The message names it."""


def norm_reader_of(name: str, norm: nn.Module, index: Tensor, filters: int) -> NormReader:
    """Classify how a norm layer reads filters.

    Args:
        index: for each element of the norm layer's input, the filter it came from.
        filters: how many filters the layer in front has.
    """
    index = _thin(index)
    if keeps_channel_statistics(norm):
        return _by_channel(name, norm, index, filters)
    rows = _statistic_rows(norm, index)
    owned = rows[(rows != OTHER_LAYER).any(1)]
    if (owned == owned[:, :1]).all():
        return NormReader(name, norm, Kind.INVARIANT)
    if (owned == OTHER_LAYER).any():
        raise MixedStatisticError(f"{name}, which mixes its filters with those of other layers in one statistic")
    distinct = torch.unique(owned.sort(1).values, dim=0)
    return _by_group(name, norm, [torch.unique(row) for row in distinct], filters)


def weakest(kinds: list[Kind]) -> Kind:
    """The kind that is true for all norm layers that read a weight."""
    grouped = [kind for kind in kinds if kind in (Kind.PER_GROUP, Kind.PER_LAYER)]
    if grouped:
        return Kind.PER_LAYER if Kind.PER_LAYER in grouped else Kind.PER_GROUP
    return Kind.COMPENSATED if Kind.COMPENSATED in kinds else Kind.INVARIANT


def _by_group(name: str, norm: nn.Module, members: list[Tensor], filters: int) -> NormReader:
    size = filters // len(members)
    runs = (torch.arange(i * size, (i + 1) * size) for i in range(len(members)))
    even = len(members) > 1 and filters % len(members) == 0
    if even and all(map(torch.equal, (m.cpu().long() for m in members), runs)):
        return NormReader(name, norm, Kind.PER_GROUP, groups=len(members))
    return NormReader(name, norm, Kind.PER_LAYER)


def _by_channel(name: str, norm: nn.Module, index: Tensor, filters: int) -> NormReader:
    """Batch and instance norms, whose channels are on axis 1."""
    channels_first = index.movedim(1, 0).flatten(1)
    if is_instance_norm(norm) and not is_frozen(norm):
        per_sample = index.flatten(2) if index.ndim > 2 else index.unsqueeze(-1)
        mixed = not (per_sample == per_sample[..., :1]).all()
    else:
        mixed = not (channels_first == channels_first[:, :1]).all()
    if mixed:
        raise MixedStatisticError(f"{name}, which mixes filters in one statistic")
    kind = Kind.COMPENSATED if is_frozen(norm) else Kind.INVARIANT
    channels = channels_first[:, 0].long().clone()
    one_to_one = torch.equal(channels, torch.arange(filters, device=channels.device))
    return NormReader(name, norm, kind, None if one_to_one else channels)


def _statistic_rows(norm: nn.Module, index: Tensor) -> Tensor:
    """One row per statistic of a group or layer norm, one entry per element that enters it."""
    if isinstance(norm, nn.GroupNorm):
        if index.shape[1] % norm.num_groups:  # thinned to one value: every group has the same
            index = index.expand(-1, norm.num_groups, *index.shape[2:])
        return index.reshape(index.shape[0] * norm.num_groups, -1)
    normalized: tuple[int, ...] = tuple(norm.normalized_shape)  # type: ignore[arg-type]
    if type(norm).forward is not nn.LayerNorm.forward and len(normalized) == 1 and index.ndim == 4:
        index = index.movedim(1, -1) if index.shape[1] == normalized[0] else index  # a channels-first subclass
    return index.flatten(0, -len(normalized) - 1).flatten(1) if index.ndim > len(normalized) else index.reshape(1, -1)


def _thin(index: Tensor) -> Tensor:
    """Drop the repetition of expanded axes, which hold one value over and over."""
    for axis, stride in enumerate(index.stride()):
        if stride == 0 and axis != 1:
            index = index.narrow(axis, 0, 1)
    return index
