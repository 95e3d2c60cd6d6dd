"""What one filter is, its norm, and how to scale it.

Algorithm 1 of the WRS paper writes a kernel as W[:, :, :, i] with the output channel last. In torch the output channel
is axis 0 of a convolution and of a linear layer, and axis 1 of a transposed convolution, where groups sit on axis 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from normreg_plugins.core.model.shards import is_sharded

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
    together: int
    """The number of filters in one part: 1, except for groups and whole layers."""

    def view(self, weight: Tensor) -> Tensor:
        """The weight with output channels on axes of their own. All methods take it for the weight."""
        return weight if weight.ndim == len(self.shape) else weight.view(self.shape)

    @property
    def fan_in(self) -> int:
        """Entries of one filter."""
        return math.prod(self.shape[d] for d in self.dims) // self.together

    def norms(self, weight: Tensor) -> Tensor:
        """The norm of each part, in float32 at least. Reduced axes stay, with size 1.

        The norm of a part with several filters is the root mean square of their norms.
        """
        norms = torch.linalg.vector_norm(
            self.view(weight), dim=self.dims, keepdim=True, dtype=at_least_float32(weight.dtype)
        )
        return norms if self.together == 1 else norms / math.sqrt(self.together)

    def means(self, weight: Tensor) -> Tensor:
        """The mean of each part's entries, reduced axes kept; float32 at least."""
        return self.view(weight).mean(self.dims, keepdim=True, dtype=at_least_float32(weight.dtype))

    def stds(self, weight: Tensor) -> Tensor:
        """The biased standard deviation of each part (AWS paper, below eq. 21); float32 at least."""
        wide = self.view(weight).to(at_least_float32(weight.dtype))
        return self.norms(wide - self.means(wide)) / math.sqrt(self.fan_in)  # several times faster than Tensor.var

    def scale_(self, weight: Tensor, factors: Tensor) -> None:
        self.view(weight).mul_(factors)

    def center_(self, weight: Tensor, only_if: Tensor | None = None) -> None:
        """Subtract each part's mean (constrained paper, eq. 2: 1^T w = 0).

        Args:
            only_if: a bool on the weight's device. If it is False, the weight stays as it is.
        """
        means = self.means(weight)
        self.view(weight).sub_(means if only_if is None else torch.where(only_if, means, 0.0))

    def per_channel(self, factors: Tensor) -> Tensor:
        """One factor per output channel, in the order of the channels of the layer's output."""
        flat = factors.flatten()
        return flat if self.together == 1 else flat.repeat_interleave(self.together)


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
    return norms <= zero_up_to(norms)


def zero_up_to(norms: Tensor) -> float:
    """The greatest filter norm that counts as zero."""
    return float(torch.finfo(norms.dtype).tiny ** 0.5)


def safe_factors(target: Tensor | float, norms: Tensor) -> Tensor:
    """target / norms; 1 for a filter that is zero, which has no direction, or that holds NaN or Inf."""
    usable = (norms > zero_up_to(norms)) & (norms < math.inf)
    return torch.where(usable, target / norms, torch.ones_like(norms))  # ones_like: also where weights are sharded


def all_safe_factors(targets: float | Sequence[Tensor], norms: Sequence[Tensor]) -> list[Tensor]:
    """`safe_factors` of several weights; in one operation if all have the same target and none is sharded."""
    if not isinstance(targets, float):
        return list(map(safe_factors, targets, norms))
    if len(norms) == 1 or is_sharded(norms[0]):  # to join shards, the ranks would exchange them one by one
        return [safe_factors(targets, each) for each in norms]
    flat = safe_factors(targets, torch.cat([n.flatten() for n in norms]))
    return [factors.view_as(n) for factors, n in zip(flat.split([n.numel() for n in norms]), norms)]
