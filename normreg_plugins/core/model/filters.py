"""What one filter is, its norm, and how to scale it.

Algorithm 1 of the WRS paper writes a kernel as W[:, :, :, i] with the output channel last. In torch the output channel
is axis 0 of a convolution and of a linear layer, and axis 1 of a transposed convolution, where groups sit on axis 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Per = Literal["filter", "position", "group", "layer"]
"""Into which parts a weight is divided. Each part has one norm and is scaled by one factor. A part is a filter (one
output channel), the input channels at one kernel position (for WRS(IC)), a run of filters, or the whole weight."""


@dataclass(frozen=True)
class Filters:
    """How the entries of one weight are divided into parts. The parts are filters, unless `per` says otherwise.

    The division only splits axes. So `view` shares memory with the weight in every memory format, channels_last
    included.
    """

    shape: tuple[int, ...]
    """The weight's shape with output channels on axes of their own."""
    dims: tuple[int, ...]
    """The axes that one part spans."""
    filters_per_part: int
    """1, except for groups and layers."""

    def view(self, weight: Tensor) -> Tensor:
        """The weight with output channels on axes of their own. All methods take it for the weight."""
        return weight if weight.ndim == len(self.shape) else weight.view(self.shape)

    @property
    def fan_in(self) -> int:
        """Entries of one filter."""
        return math.prod(self.shape[d] for d in self.dims) // self.filters_per_part

    def norms(self, weight: Tensor) -> Tensor:
        """The norm of each part, in float32 at least. Reduced axes stay, with size 1.

        The norm of a part with several filters is the root mean square of their norms.
        """
        norms = self.total_norms(weight)
        return norms if self.filters_per_part == 1 else norms / math.sqrt(self.filters_per_part)

    def total_norms(self, weight: Tensor) -> Tensor:
        """The norm of all entries of each part."""
        return torch.linalg.vector_norm(
            self.view(weight), dim=self.dims, keepdim=True, dtype=at_least_float32(weight.dtype)
        )

    def means(self, weight: Tensor) -> Tensor:
        """The mean of each part's entries, reduced axes kept; float32 at least."""
        return self.view(weight).mean(self.dims, keepdim=True, dtype=at_least_float32(weight.dtype))

    def stds(self, weight: Tensor) -> Tensor:
        """The biased standard deviation of each part (AWS paper, below eq. 21); float32 at least."""
        wide = self.view(weight).to(at_least_float32(weight.dtype))
        return self.norms(wide - self.means(wide)) / math.sqrt(self.fan_in)  # several times faster than Tensor.var

    def scale_(self, weight: Tensor, factors: Tensor) -> None:
        self.view(weight).mul_(factors)

    def center_(self, weight: Tensor) -> None:
        """w <- w - mean(w), so that 1^T w = 0 (constrained paper, eq. 2)."""
        self.view(weight).sub_(self.means(weight))

    def per_channel(self, factors: Tensor) -> Tensor:
        """One factor per output channel, in the order of the channels of the layer's output."""
        flat = factors.flatten()
        return flat if self.filters_per_part == 1 else flat.repeat_interleave(self.filters_per_part)


def is_sharded(values: Tensor | None) -> bool:
    """Whether this is a tensor that FSDP2 divided among processes (a DTensor)."""
    return hasattr(values, "full_tensor")


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which squares are summed. Half precision overflows at 65504, which such a sum soon exceeds."""
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def filters_of(module: nn.Module, per: Per = "filter", groups: int = 1) -> Filters:
    """The filters of a convolution, transposed convolution or linear layer.

    Args:
        per: the parts into which the weight is divided; 'group' means `groups` runs of neighbouring filters.
    """
    weight = layer_weight(module)
    if getattr(module, "transposed", False):
        split = int(module.groups)  # type: ignore[arg-type]
        shape = (split, weight.shape[0] // split, *weight.shape[1:])
        channel_axis, others = 2, (1, *range(3, len(shape)))
        channels = split * weight.shape[1]
    else:
        shape, channel_axis, others = tuple(weight.shape), 0, tuple(range(1, weight.ndim))
        channels = weight.shape[0]
    if per == "filter":
        return Filters(shape, others, 1)
    if per == "position":
        return Filters(shape, (1,), 1)
    if per == "layer" or groups == 1:
        return Filters(shape, tuple(range(len(shape))), channels)
    if shape[channel_axis] % groups or (channel_axis == 2 and shape[0] != 1):
        raise ValueError(f"{channels} output channels of {type(module).__name__} do not split into {groups} groups")
    split_shape = (*shape[:channel_axis], groups, shape[channel_axis] // groups, *shape[channel_axis + 1 :])
    dims = tuple(d for d in range(len(split_shape)) if d != channel_axis)
    return Filters(split_shape, dims, channels // groups)


def layer_weight(module: nn.Module) -> nn.Parameter:
    weight = module._parameters.get("weight")
    if weight is None:
        raise ValueError(f"{type(module).__name__} has no parameter named 'weight'")
    return weight


def is_zero(norms: Tensor) -> Tensor:
    """Which filters have no direction: they are zero, or so small that their square underflows."""
    return norms < float(torch.finfo(norms.dtype).tiny ** 0.5)


def safe_factors(target: Tensor | float, norms: Tensor) -> Tensor:
    """target / norms; 1 for a filter that is zero, which has no direction, or that contains NaN or Inf."""
    return (target / norms).masked_fill_(is_zero(norms.nan_to_num(0, 0, 0)), 1.0)


def elementwise(
    function: Callable[[Any, Tensor], Tensor], values: Sequence[float | Tensor], sizes: Sequence[Tensor]
) -> list[Tensor]:
    """`function(value, size)` for each weight, in one call for all weights of one dtype, device and value.

    On a GPU each call launches kernels, so a few calls on long vectors beat one call per weight.

    Args:
        values: for each weight one number, a tensor of one number, or a tensor with one number for each part.
        sizes: for each weight one number for each part.
    """
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, (value, size) in enumerate(zip(values, sizes)):
        shared = value if not isinstance(value, Tensor) else id(value) if value.ndim == 0 else None
        alone = place if is_sharded(size) else None  # joining shards would need communication
        groups[alone, size.dtype, size.device, shared].append(place)
    results: dict[int, Tensor] = {}
    for places in groups.values():
        value, group = values[places[0]], [sizes[place] for place in places]
        if len(group) == 1:
            results[places[0]] = function(value, group[0])
            continue
        if isinstance(value, Tensor) and value.ndim:
            value = torch.cat([torch.as_tensor(values[place]).flatten() for place in places])
        joined = function(value, torch.cat([size.flatten() for size in group]))
        results.update(zip(places, map(Tensor.view_as, joined.split([size.numel() for size in group]), group)))
    return [results[place] for place in range(len(sizes))]
