"""How one norm reads the filters of one layer: which filters share a statistic."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normreg_plugins.core.parts import is_frozen, is_instance_norm, keeps_channel_statistics
from normreg_plugins.core.verdict import Kind

NOT_OURS = -1


@dataclass(eq=False)
class NormRead:
    """One norm that reads a layer's filters."""

    norm_name: str
    norm: nn.Module
    kind: Kind
    channels: Tensor | None = None
    """For channel statistics: the filter behind each channel of the norm, NOT_OURS where it is another layer's; None
    means one to one."""
    groups: int = 1
    """For PER_GROUP: into how many runs of neighbouring filters the layer falls."""


class UnreadableError(Exception):
    """A norm reads the filters in a way that no rescale can undo; the message says why."""


def read(name: str, norm: nn.Module, index: Tensor, filters: int) -> NormRead:
    """Classify a norm's reading from `index`, which holds for each element of its input the filter it came from."""
    index = _thin(index)
    if keeps_channel_statistics(norm):
        return _read_channels(name, norm, index, filters)
    rows = _statistic_rows(norm, index)
    owned = rows[(rows != NOT_OURS).any(1)]
    if (owned == owned[:, :1]).all():
        return NormRead(name, norm, Kind.INVARIANT)
    if (owned == NOT_OURS).any():
        raise UnreadableError(f"{name} mixes its filters with those of other layers in one statistic")
    distinct = torch.unique(owned.sort(1).values, dim=0)
    return _grouped(name, norm, [torch.unique(row) for row in distinct], filters)


def weakest(kinds: list[Kind]) -> Kind:
    """What holds for every norm that reads the weight."""
    grouped = [kind for kind in kinds if kind in (Kind.PER_GROUP, Kind.PER_LAYER)]
    if grouped:
        return Kind.PER_LAYER if Kind.PER_LAYER in grouped else Kind.PER_GROUP
    return Kind.COMPENSATED if Kind.COMPENSATED in kinds else Kind.INVARIANT


def _grouped(name: str, norm: nn.Module, members: list[Tensor], filters: int) -> NormRead:
    size = filters // len(members)
    runs = (torch.arange(i * size, (i + 1) * size) for i in range(len(members)))
    if (
        len(members) > 1
        and filters % len(members) == 0
        and all(map(torch.equal, (m.cpu().long() for m in members), runs))
    ):
        return NormRead(name, norm, Kind.PER_GROUP, groups=len(members))
    return NormRead(name, norm, Kind.PER_LAYER)


def _read_channels(name: str, norm: nn.Module, index: Tensor, filters: int) -> NormRead:
    """Batch and instance norms: channel axis 1 (axis 0 of an unbatched instance norm is not worth a rule)."""
    channels_first = index.movedim(1, 0).flatten(1)
    if is_instance_norm(norm) and not is_frozen(norm):
        per_sample = index.flatten(2) if index.ndim > 2 else index.unsqueeze(-1)
        if not (per_sample == per_sample[..., :1]).all():
            raise UnreadableError(f"{name} mixes filters in one statistic")
    elif not (channels_first == channels_first[:, :1]).all():
        raise UnreadableError(f"{name} mixes filters in one statistic")
    kind = Kind.COMPENSATED if is_frozen(norm) else Kind.INVARIANT
    channels = channels_first[:, 0].long().clone()
    one_to_one = torch.equal(channels, torch.arange(filters, device=channels.device))
    return NormRead(name, norm, kind, None if one_to_one else channels)


def _statistic_rows(norm: nn.Module, index: Tensor) -> Tensor:
    """One row per statistic of a group or layer norm, one entry per element that enters it."""
    if isinstance(norm, nn.GroupNorm):
        if index.shape[1] % norm.num_groups:  # thinned to one value: every group holds the same
            index = index.expand(-1, norm.num_groups, *index.shape[2:])
        return index.reshape(index.shape[0] * norm.num_groups, -1)
    normalized: tuple[int, ...] = tuple(norm.normalized_shape)  # type: ignore[arg-type]
    if type(norm).forward is not nn.LayerNorm.forward and len(normalized) == 1 and index.ndim == 4:
        index = index.movedim(1, -1) if index.shape[1] == normalized[0] else index  # a channels-first subclass
    return index.flatten(0, -len(normalized) - 1).flatten(1) if index.ndim > len(normalized) else index.reshape(1, -1)


def _thin(index: Tensor) -> Tensor:
    """Drop repetition that the strides already show: an expanded axis holds one value over and over."""
    for axis, stride in enumerate(index.stride()):
        if stride == 0 and axis != 1:
            index = index.narrow(axis, 0, 1)
    return index
