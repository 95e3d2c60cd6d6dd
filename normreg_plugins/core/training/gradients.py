"""Does the loss see the scale of a filter? Its gradient says so: it has no part along the filter if the loss does not.

That is Lemma 3.1 of the WRS paper, <w, g> = 0, but for the eps of the norm layer, whose effect is known exactly:
`gamma dL/dgamma eps / (var + eps)`. What remains in float32 is rounding error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from normreg_plugins.core.methods import Target
from normreg_plugins.core.model import (
    OTHER_LAYER,
    at_least_float32,
    full_tensor,
    full_tensors,
    is_frozen,
    is_instance_norm,
    is_sharded,
    keeps_channel_statistics,
    norm_eps,
    per_norm_channel,
)
from normreg_plugins.core.verdicts import NormReader, WeightReport

LIMITS = {torch.float64: 5e-5, torch.float32: 5e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""What rounding may leave along a weight, by the dtype of its layer's output; 1 is a random gradient. On the nets of
both test_zoo.py it leaves at most 2e-6 in float32 (2e-5 in one net) and 6e-3 in bfloat16."""
CLEAR = 5
"""So many times the limit is a contradiction, not a doubt."""
UNKNOWN_PULL = 4
"""gamma dL/dgamma of a norm layer without a gradient for gamma is at most about so many times |w| |g|."""
SPREAD = 5
"""Of several forwards with different variances only the sum of dL/dgamma is known. Their parts may be larger than it,
about so many times."""
FEW = 64
"""Of so few values in a channel the variance says nothing about that of another rank."""


class Along(NamedTuple):
    """How much of a weight's gradient is along the weight and not explained by norm layers."""

    share: float
    """1 is a random gradient."""
    excess: float
    """The same in multiples of what rounding may leave."""
    beyond_penalty: float
    """The same without the gradient of an L1 or L2 penalty on the weight."""

    @property
    def is_clear(self) -> bool:
        """A penalty in the loss is no reason to stop: it pulls along the weight, but the network sees no scale."""
        return self.excess > CLEAR and self.beyond_penalty > 0.02 * self.excess


class Seen(NamedTuple):
    """What a norm layer's input showed of each channel, in all calls since the last update."""

    low: Tensor
    high: Tensor
    """The least and the greatest eps / (var + eps)."""
    offset: Tensor
    """The greatest |mean| / deviation, by which rounding errors grow."""


class LayerInputs:
    """Measures what norm layers get, and in which precision layers compute, from forward hooks."""

    def __init__(self, reports: Sequence[WeightReport]) -> None:
        self._layers = {id(report.layer.module) for report in reports}
        self._norms = {id(reader.norm) for report in reports for reader in report.readers if _is_measured(reader)}
        self.seen: dict[int, Seen] = {}
        self.dtypes: dict[int, torch.dtype] = {}
        self._weights: dict[int, tuple[int, int] | None] = {}

    def see(self, module: nn.Module, args: Any, output: Any) -> None:
        """A forward hook."""
        if torch.jit.is_tracing() or not (torch.is_grad_enabled() and isinstance(output, Tensor)):
            return
        if id(module) in self._layers:
            self.dtypes[id(module)] = output.dtype
            self._weights[id(module)] = _version(module)
        elif id(module) in self._norms and not is_frozen(module) and args and args[0].numel():
            now, before = _seen(module, args[0]), self.seen.get(id(module))
            self.seen[id(module)] = now if before is None else _both(now, before)

    def forget(self) -> None:
        """The next update has other inputs."""
        self.seen.clear()
        self._weights.clear()

    def have_another_weight(self, layer: nn.Module) -> bool:
        """Whether the weight was changed since the forward, as SAM does: its gradient then belongs to another one."""
        then, now = self._weights.get(id(layer)), _version(layer)
        return then is not None and now is not None and then != now


def _version(layer: nn.Module) -> tuple[int, int] | None:
    weight = layer._parameters.get("weight")
    if weight is None or is_sharded(weight):
        return None
    return weight._version, weight.untyped_storage()._cdata


def _is_measured(reader: NormReader) -> bool:
    norm = reader.norm
    one_each = isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels
    return keeps_channel_statistics(norm) or one_each


@torch.no_grad()
def _seen(norm: nn.Module, x: Tensor) -> Seen:
    by_sample = is_instance_norm(norm) or isinstance(norm, nn.GroupNorm)
    x = x.detach().to(at_least_float32(x.dtype))
    var, mean = torch.var_mean(x, [d for d in range(x.ndim) if d > 1 or (d == 0 and not by_sample)], correction=0)
    var, mean = (v.view(-1, x.shape[1]) for v in (var, mean))
    share = norm_eps(norm) / (var + norm_eps(norm))
    if _on_several_ranks() and x.numel() < FEW * x.shape[1]:
        share = torch.cat([share, torch.ones_like(share)])
    return Seen(share.amin(0), share.amax(0), (mean.abs() / var.clamp_min(1e-30).sqrt()).amax(0))


def _both(one: Seen, other: Seen) -> Seen:
    return Seen(
        torch.minimum(one.low, other.low), torch.maximum(one.high, other.high), torch.maximum(one.offset, other.offset)
    )


@torch.no_grad()
def along_weights(targets: Sequence[Target], inputs: LayerInputs) -> dict[str, Along]:
    """What the gradient of each target has along its filters; none for a gradient that is zero or not finite.

    It waits for the GPU once.
    """
    measured = [_shares(target, inputs).to("cpu", torch.float64) for target in targets]
    limits = [_limit(target, inputs) for target in targets]
    return {
        target.name: Along(share, share / limit, rest / limit)
        for target, limit, (share, rest) in zip(targets, limits, torch.stack(measured).tolist() if measured else ())
        if math.isfinite(share)
    }


def _limit(target: Target, inputs: LayerInputs) -> float:
    unknown = any(_pull(reader.norm, "weight") is None for reader in target.report.readers)
    dtype = inputs.dtypes.get(id(target.layer.module), torch.bfloat16)  # unknown if it was compiled
    if target.report.weight_normalization is not None:
        return LIMITS[torch.bfloat16]  # it has an eps of its own
    if dtype is torch.float32 and target.weight.is_cuda and torch.backends.cudnn.allow_tf32:
        dtype = torch.float16  # as many digits
    limit = LIMITS.get(dtype, LIMITS[torch.bfloat16])
    return 10 * limit if unknown else limit  # the gradient of a filter that has settled says little about dL/dgamma


def _shares(target: Target, inputs: LayerInputs) -> Tensor:
    """The share along the weight, and what of it no penalty explains; NaN for a zero gradient."""
    filters, weight, grad = target.filters, target.weight.detach(), target.weight.grad
    assert grad is not None
    wide = at_least_float32(weight.dtype)
    weight, grad = (filters.view(each).to(wide) for each in (weight, grad))
    by_filter = [
        (weight * grad).sum(filters.dims),
        filters.norms(weight),
        filters.norms(grad),
        weight.abs().sum(filters.dims),
    ]
    along, norms, pulls, sums = full_tensors([each.flatten() for each in by_filter])
    pulls = norms * pulls
    rest, uncertain, size = along, torch.zeros_like(along), pulls
    for reader in target.report.readers:
        by_norm = _through(reader, inputs, pulls, target.bias)
        rest, uncertain, size = rest - by_norm[0], uncertain + by_norm[1], size + by_norm[2]
    penalties = (norms.square(), norms, sums)  # what L2, ||w|| and L1 add to <w, g>
    beyond = [rest - p * ((p @ rest) / (p @ p)).clamp_min(0) for p in penalties]
    share, *others = [(each.abs() - uncertain).clamp_min(0).norm() for each in (rest, *beyond)]
    found = torch.stack([share, torch.stack(others).min()]) * (math.sqrt(filters.fan_in) / size.norm())
    return torch.where(pulls.any(), found, math.nan)


def _through(reader: NormReader, inputs: LayerInputs, pulls: Tensor, bias: Tensor | None) -> Tensor:
    """What a norm layer explains of <w, g>, how far from it the truth may be, and the size of the terms that cancel.

    Args:
        pulls: |w| |g|.
    """
    filters, pulls = len(pulls), per_norm_channel(pulls, reader.channels, fill=0.0)
    seen = inputs.seen.get(id(reader.norm))
    by_gamma, by_beta = _pull(reader.norm, "weight"), _pull(reader.norm, "bias")
    terms = sum(each.abs() for each in (by_gamma, by_beta) if each is not None) + torch.zeros_like(pulls)
    if seen is None and is_frozen(reader.norm):
        explained, uncertain, terms = _by_frozen_norm(reader, by_gamma, by_beta, bias, pulls)
    elif seen is None:
        explained = torch.zeros_like(pulls) if by_gamma is None else by_gamma / 2
        uncertain = pulls if by_gamma is None else by_gamma.abs() / 2
    elif by_gamma is None:
        explained, uncertain = torch.zeros_like(pulls), UNKNOWN_PULL * seen.high * pulls
    else:
        explained = by_gamma * (seen.low + seen.high) / 2
        uncertain = SPREAD * (seen.high - seen.low) + (2 * seen.high if _on_several_ranks() else 0)
        uncertain = uncertain * (terms + pulls)
    if seen is not None:
        terms = terms + seen.offset * (terms + pulls)
    found = torch.stack([explained, uncertain, terms])
    if reader.channels is None:
        return found
    own = reader.channels != OTHER_LAYER
    return found.new_zeros(3, filters).index_add(1, reader.channels[own], found[:, own])


def _by_frozen_norm(
    reader: NormReader, by_gamma: Tensor | None, by_beta: Tensor | None, bias: Tensor | None, pulls: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """gamma dL/dgamma + gamma dL/dbeta (mean - b) / sqrt(var + eps): a constant deviation does not hide the scale."""
    norm: Any = reader.norm
    if by_gamma is None or by_beta is None:
        return torch.zeros_like(pulls), torch.full_like(pulls, math.inf), torch.zeros_like(pulls)
    mean = norm.running_mean
    if bias is not None:
        mean = mean - per_norm_channel(full_tensor(bias.detach()), reader.channels, fill=0.0)
    by_mean = by_beta * mean / (norm.running_var + norm_eps(norm)).sqrt()
    return by_gamma + by_mean, torch.zeros_like(pulls), by_gamma.abs() + by_mean.abs()


def _pull(norm: nn.Module, parameter: str) -> Tensor | None:
    """gamma dL/dgamma or gamma dL/dbeta; None if it is not known, because the parameter is frozen or there is none."""
    gamma, own = getattr(norm, "weight", None), getattr(norm, parameter, None)
    if gamma is None or own is None or not own.requires_grad:
        return None
    wide = full_tensor(gamma.detach()).to(at_least_float32(gamma.dtype))
    return torch.zeros_like(wide) if own.grad is None else wide * full_tensor(own.grad)


def _on_several_ranks() -> bool:
    """Whether gradients are means over ranks, each with a variance of its own."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
