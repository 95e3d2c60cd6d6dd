"""Weight normalization by torch's native kernels: one forward, one backward, much faster than the equation.

A group norm with one filter per group computes WS and CWN; torch's weight-norm kernel computes WN. These kernels divide
every filter. The layers promise more: a filter that measures no more than eps is used as it is. On a CPU the kernel's
statistics tell whether there is such a filter. If there is none, torch's own gradients are right. If there is one,
`_WithFiltersAsTheyAre` keeps the promise; so it does on every GPU, because to read the statistics is to wait for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import Filters, at_least_float32
from normreg_plugins.layers.normalization import EPS, Normalization, normalize_by_equation

AS_IS = 1e9
"""Backward takes this for the measure of a filter that was used as it is.

A kernel takes from the gradient its part along the filter, divided by the squared measure. With this measure that part
lies below rounding. The rest is the gradient of an ordinary layer.
"""


def normalize_weight(
    weight: Tensor,
    normalization: Normalization,
    filters: Filters,
    gain: Tensor | None = None,
    eps: float = EPS,
) -> Tensor:
    """The weight that a layer computes with; `weight` itself is not changed.

    It is computed in float32 at least and returned in the weight's own dtype and shape. eps is a threshold and no
    summand: a filter that measures more than eps is divided exactly. A filter that measures eps or less is not divided,
    so its value and its gradient are those of an ordinary layer.
    """
    wide = weight.to(at_least_float32(weight.dtype))
    if not _kernels_fit(wide, filters):
        return normalize_by_equation(wide, normalization, filters, gain, eps).to(weight.dtype)
    gain = None if gain is None else gain.to(wide.dtype)
    result = _divided_on_cpu(wide, gain, normalization, eps)
    if result is None:
        result = _WithFiltersAsTheyAre.apply(wide, gain, normalization, filters, eps)
    return result.to(weight.dtype)


def _divided_on_cpu(weight: Tensor, gain: Tensor | None, normalization: Normalization, eps: float) -> Tensor | None:
    """The normalized weight, or None on a GPU and where a filter measures no more than eps."""
    if weight.is_cuda:
        return None
    stack = _stack(weight, weight)
    factor, threshold = _factor_and_threshold(stack, normalization, eps)
    factors = gain if factor is None else factor if gain is None else gain * factor
    result, _, measure = _standardized(stack, factors) if normalization.centred else _weight_norm(stack, factors)
    return _unstacked(result, weight) if measure.detach().min().item() > threshold else None


def _kernels_fit(weight: Tensor, filters: Filters) -> bool:
    """Whether each filter is one slice w[o], and nothing traces or transforms the operations.

    A compiler fuses the equation by itself. A kernel gives one filter to one thread, which would slow BWN down: its
    layer is one filter.
    """
    if _is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active():
        return False
    known = type(weight) in (Tensor, nn.Parameter) and weight.device.type in ("cpu", "cuda")
    return known and filters.dims == tuple(range(1, weight.ndim))


class _WithFiltersAsTheyAre(torch.autograd.Function):
    """The kernels where some filters are divided and others are used as they are."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gain: Tensor | None, normalization: Normalization, filters: Filters, eps: float
    ) -> Tensor:
        stack = _stack(weight, weight)
        one = stack.new_ones(len(stack))
        factor, threshold = _factor_and_threshold(stack, normalization, eps)
        factor = one if factor is None else factor
        gains = one if gain is None else gain
        if normalization.centred:
            result, mean, measure = _standardized(stack, gains * factor)
            divided = measure > threshold
            result.mul_(_column((measure / factor).where(~divided, one), stack))
        else:  # the kernel would divide a zero filter by zero
            mean, measure = None, torch.linalg.vector_norm(stack.flatten(1), dim=1)
            divided = measure > threshold
            result = stack * _column(gains.where(~divided, gains / measure), stack)
        as_is = one * AS_IS
        ctx.save_for_backward(weight, gain, mean, measure.where(divided, as_is), factor.where(divided, as_is))
        ctx.settings = normalization, filters, eps
        return _unstacked(result, weight)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        weight, gain, mean, measure, factor = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants second derivatives (create_graph=True)
            return *_gradients_by_equation(weight, gain, outer[0], *ctx.settings), None, None, None
        stack, outer_stack = _stack(weight, weight), _stack(outer[0], weight)
        factors = factor if gain is None else gain * factor
        if mean is None:
            found, by_factor = torch.ops.aten._weight_norm_interface_backward(
                outer_stack, stack, _column(factors, stack), _column(measure, stack), 0
            )
        else:
            count = len(stack)
            sizes = 1, count, stack.numel() // count, count
            found, by_factor, _ = torch.ops.aten.native_group_norm_backward(
                outer_stack.flatten(1)[None],
                stack.flatten(1)[None],
                *(mean, measure.reciprocal()[None], factors),
                *sizes,
                [True, gain is not None, False],
            )
        by_gain = None if gain is None else by_factor.flatten() * factor
        return _unstacked(found.view_as(stack), weight), by_gain, None, None, None


def _factor_and_threshold(stack: Tensor, normalization: Normalization, eps: float) -> tuple[Tensor | None, float]:
    """Beside gain / std or gain / norm one more factor for each filter, and the std or norm up to which it is as it is.

    CWN is WS / sqrt(n). A variance so small that it is nothing beside the kernel's own eps counts as zero.
    """
    if not normalization.centred:
        return stack.new_ones(len(stack)), eps
    smallest_std = 2 * torch.finfo(stack.dtype).tiny ** 0.5
    if normalization.measure == "std":
        return None, max(eps, smallest_std)
    factor = (stack.numel() // len(stack)) ** -0.5
    return stack.new_full((len(stack),), factor), max(eps * factor, smallest_std)


def _standardized(stack: Tensor, factors: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """factor (w - mean) / std of each filter, its mean and its std (AWS paper, eq. 24 and 25).

    The kernel adds its own eps to the variance: the smallest normal number, which changes no bit of one that counts.
    """
    count = len(stack)
    entries, eps = stack.numel() // count, torch.finfo(stack.dtype).tiny
    rows = stack.view(1, count, entries)
    result, mean, inverse_std = torch.native_group_norm(rows, factors, None, 1, count, entries, count, eps)
    return result.view_as(stack), mean, inverse_std[0].detach().reciprocal()


def _weight_norm(stack: Tensor, factors: Tensor | None) -> tuple[Tensor, None, Tensor]:
    """factor w / ||w|| of each filter, no mean, and its norm (AWS paper, eq. 23)."""
    assert factors is not None
    result, norm = torch._weight_norm_interface(stack, _column(factors, stack), 0)
    return result, None, norm


def _column(values: Tensor, stack: Tensor) -> Tensor:
    """One value per filter, in a shape that multiplies filters."""
    return values.view(-1, *(1,) * (stack.ndim - 1))


def _gradients_by_equation(
    weight: Tensor, gain: Tensor | None, outer: Tensor, normalization: Normalization, filters: Filters, eps: float
) -> list[Tensor | None]:
    """Gradients of weight and gain that can be differentiated again."""
    inputs = [weight, gain]
    wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    result = normalize_by_equation(weight, normalization, filters, gain, eps)
    found = dict(zip(map(id, wanted), torch.autograd.grad(result, wanted, outer, create_graph=True)))
    return [found.get(id(tensor)) for tensor in inputs]


def _stack(tensor: Tensor, weight: Tensor) -> Tensor:
    """Filter after filter, each in the order in which `weight` has it in memory."""
    return (tensor if weight.is_contiguous() else tensor.movedim(1, -1)).contiguous()  # or channels_last


def _unstacked(stack: Tensor, weight: Tensor) -> Tensor:
    """The other way round: in the shape and memory format of the weight."""
    return stack if weight.is_contiguous() else stack.movedim(-1, 1)


def _is_compiling() -> bool:
    """Torch before 2.3 cannot say. Its compiler then runs the kernels outside of its graphs."""
    return hasattr(torch.compiler, "is_compiling") and torch.compiler.is_compiling()
