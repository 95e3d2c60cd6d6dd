"""The four weight normalizations WN, CWN, WS and BWN, as one pure function: `normalize_weight`.

A group norm with one filter per group computes WS and CWN, and torch's weight-norm kernel computes WN: one kernel
forward, one backward. Transposed layers and BWN are computed by the equation. So is everything that torch.compile
fuses, torch.jit traces or a function transform differentiates, because there a kernel gains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normreg_plugins.core.model import Filters, Per, at_least_float32, filters_of
from normreg_plugins.core.old_torch import is_compiling

EPS = 1e-6


@dataclass(frozen=True)
class Normalization:
    """W' = gain * (W - centred * mean(W)) / measure(W - centred * mean(W))."""

    name: str
    centred: bool
    """Subtract each filter's mean first."""
    measure: Literal["norm", "std", "matrix"]
    """Divide by each filter's norm, its biased std, or the root mean square of the layer's filter norms."""

    @property
    def unit(self) -> Per:
        """The part of a weight that is divided by one number and has one gain."""
        return "layer" if self.measure == "matrix" else "filter"

    def filters(self, module: nn.Module) -> Filters:
        return filters_of(module, self.unit)


NORMALIZATIONS = {
    normalization.name: normalization
    for normalization in (
        Normalization("wn", centred=False, measure="norm"),  # AWS paper, eq. 23
        Normalization("cwn", centred=True, measure="norm"),  # AWS paper, eq. 24
        Normalization("ws", centred=True, measure="std"),  # AWS paper, eq. 25; constrained paper, eq. 15-17
        Normalization("bwn", centred=False, measure="matrix"),  # Hoffer et al. 2018: ||W||_F is fixed
    )
}


def normalize_weight(
    weight: Tensor,
    normalization: Normalization,
    filters: Filters,
    gain: Tensor | None = None,
    eps: float = EPS,
) -> Tensor:
    """The weight that a layer computes with, in the weight's own dtype. `weight` itself is not changed.

    Statistics are computed in float32 at least. The divisor is sqrt(std^2 + eps^2) for WS, sqrt(norm^2 + eps^2) for
    CWN, and max(norm, eps) for WN and BWN. So a zero filter (WS, CWN: a constant one) gives zero and a finite gradient.
    """
    wide = weight.to(at_least_float32(weight.dtype))
    gain = None if gain is None else gain.to(wide.dtype)
    result = None
    if filters.dims == tuple(range(1, weight.ndim)) and not _is_transformed():  # each filter is one slice w[o]
        kernel = _by_group_norm if normalization.centred else _by_weight_norm
        result = kernel(wide, normalization, gain, eps)
    if result is None:
        result = _by_equation(wide, normalization, filters, gain, eps)
    return result.to(weight.dtype)


def centred(weight: Tensor, normalization: Normalization, filters: Filters) -> Tensor:
    """The weight with output channels on axes of their own, minus its filter means if the normalization is centred."""
    wide = filters.view(weight).to(at_least_float32(weight.dtype))
    return wide - filters.means(wide) if normalization.centred else wide


def divisor(wide: Tensor, normalization: Normalization, filters: Filters, eps: float = EPS) -> Tensor:
    """What divides each filter (BWN: the layer) of a `centred` weight, with the reduced axes kept."""
    norm = filters.norms(wide)
    if not normalization.centred:
        return norm.clamp_min(eps)
    entries = wide.numel() // norm.numel()
    size = norm / entries**0.5 if normalization.measure == "std" else norm
    return (size.square() + eps**2).sqrt()


def _by_equation(
    weight: Tensor, normalization: Normalization, filters: Filters, gain: Tensor | None, eps: float
) -> Tensor:
    wide = centred(weight, normalization, filters)
    size = divisor(wide, normalization, filters, eps)
    return (wide * ((1 if gain is None else gain.view_as(size)) / size)).reshape(weight.shape)


def _by_group_norm(weight: Tensor, normalization: Normalization, gain: Tensor | None, eps: float) -> Tensor:
    """WS, and CWN = WS / sqrt(n): each filter is one group of a group norm over a batch of 1."""
    stack = _in_memory_order(weight)
    count, entries = len(stack), stack[0].numel()
    if normalization.measure == "norm":
        scale = entries**-0.5
        gain = weight.new_full((count,), scale) if gain is None else gain * scale
        eps *= scale
    result = F.group_norm(stack.reshape(1, count, entries), count, gain, eps=eps**2)
    return _in_axis_order(result.view(stack.shape), weight)


def _by_weight_norm(weight: Tensor, _: Normalization, gain: Tensor | None, eps: float) -> Tensor | None:
    """WN by torch's kernel; None where the equation has to do it.

    The kernel divides by the bare norm, so the norms that it returns are compared with eps. Only on a CPU can Python
    read them without a sync.
    """
    if weight.device.type != "cpu":
        return None
    stack = _in_memory_order(weight).contiguous()
    gain = weight.new_ones(len(stack)) if gain is None else gain
    result, norms = torch._weight_norm_interface(stack, gain.view(-1, *(1,) * (stack.ndim - 1)), 0)
    if norms.detach().min().item() <= eps:
        return None
    if result.requires_grad:
        result.register_hook(_refuse_second_derivatives)
    return _in_axis_order(result, weight)


def _refuse_second_derivatives(_: Tensor) -> None:
    """In torch 2.11 the kernel's backward fails gradgradcheck: it takes the norms for constants."""
    if torch.is_grad_enabled():  # create_graph=True
        raise RuntimeError(
            "WN on a CPU: the second derivatives of torch's weight-norm kernel are wrong. Use torch.func.grad instead "
            "of create_graph=True, or a GPU; both compute WN by its equation."
        )


def _is_transformed() -> bool:
    """Whether torch.compile, torch.jit.trace or a function transform such as vmap runs this call."""
    return is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()


def _memory_order(weight: Tensor) -> list[int]:
    return [0, *sorted(range(1, weight.ndim), key=weight.stride, reverse=True)]


def _in_memory_order(weight: Tensor) -> Tensor:
    """Axis 0 first, then the others as they lie in memory, so that a channels_last weight is not copied."""
    return weight.permute(_memory_order(weight))


def _in_axis_order(stack: Tensor, weight: Tensor) -> Tensor:
    """The inverse of `_in_memory_order`."""
    order = _memory_order(weight)
    return stack.permute(sorted(range(weight.ndim), key=order.__getitem__))
