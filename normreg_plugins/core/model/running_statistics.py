"""Repair the running statistics of norm layers after the filters in front of them were scaled.

A norm layer with running statistics evaluates (x - mean) / sqrt(var + eps). If the filters in front of it are scaled by
a, then x becomes a (x - b) + b, where b is the bias of their layer. The mean and the deviation have to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.model.layers import norm_eps
from normreg_plugins.core.model.shards import whole

OTHER_LAYER = -1
"""Marks a channel of a norm layer that comes from another layer."""


class ScaledInput(NamedTuple):
    """A norm layer whose input was scaled."""

    norm: nn.Module
    channels: Tensor | None
    """The filter behind each channel of the norm layer, or OTHER_LAYER; None means one to one."""
    bias: Tensor | None
    """The bias of the scaled layer."""
    factors: Tensor
    """The factor a of each filter."""


def repair_statistics_(scaled: Sequence[ScaledInput]) -> None:
    """mean <- a (mean - b) + b and var <- a^2 (var + eps) - eps, not below 0.

    The new sqrt(var + eps) is a times the old one, as long as var stays above 0. With a = 1 no bit changes.
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


def _by_norm(scaled: Sequence[ScaledInput]) -> tuple[dict[nn.Module, Tensor], dict[nn.Module, Tensor]]:
    """For each norm layer with running statistics one factor a per channel, and b (1 - a) where there is a bias.

    A norm layer behind a concatenation has channels of several layers. It is repaired once.
    """
    factors: dict[nn.Module, Tensor] = {}
    shifts: dict[nn.Module, Tensor] = {}
    for norm, channels, bias, by_filter in scaled:
        if getattr(norm, "running_mean", None) is None:
            continue
        factor = per_norm_channel(by_filter, channels, fill=1.0)
        factors[norm] = factors[norm] * factor if norm in factors else factor
        if bias is not None:
            shift = per_norm_channel(whole(bias.detach()), channels, fill=0.0) * (1 - factor)
            shifts[norm] = shifts[norm] + shift if norm in shifts else shift
    return factors, {norm: shifts[norm] for norm in factors if norm in shifts}


def per_norm_channel(values: Tensor, channels: Tensor | None, fill: float) -> Tensor:
    """Rearrange one value per filter into one per channel of the norm layer. Channels of other layers get `fill`."""
    if channels is None:
        return values
    return torch.where(channels != OTHER_LAYER, values[channels.clamp_min(0)], torch.full_like(values[:1], fill))
