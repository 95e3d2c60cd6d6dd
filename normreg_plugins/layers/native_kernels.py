"""Weight normalization by torch's native kernels: one forward, one backward, much faster than the equation.

A group norm with one filter per group computes WS and CWN; torch's weight-norm kernel computes WN. These kernels divide
every filter. The layers promise more: a filter that measures no more than eps is used as it is. `_NativeNormalization`
keeps that promise, and never waits for a GPU to find out which filters those are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.filters import Filters, at_least_float32, zero_up_to
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
    if _kernels_fit(wide, filters):
        gain = None if gain is None else gain.to(wide.dtype)
        result = _NativeNormalization.apply(wide, gain, normalization, filters, eps)
    else:
        result = normalize_by_equation(wide, normalization, filters, gain, eps)
    return result.to(weight.dtype)


def _kernels_fit(weight: Tensor, filters: Filters) -> bool:
    """Whether each filter is one slice w[o], and nothing traces or transforms the operations.

    A compiler fuses the equation by itself. A kernel gives one filter to one thread, which would slow BWN down: its
    layer is one filter.
    """
    if _is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active():
        return False
    known = type(weight) in (Tensor, nn.Parameter) and weight.device.type in ("cpu", "cuda")
    return known and filters.dims == tuple(range(1, weight.ndim))


class _NativeNormalization(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, gain: Tensor | None, normalization: Normalization, filters: Filters, eps: float
    ) -> Tensor:
        rows = _rows(weight, weight)
        if normalization.centred:
            norm_of_unit_std = rows.shape[1] ** 0.5 if normalization.measure == "norm" else 1.0
            result, *statistics = _centre_and_divide(rows, gain, eps, norm_of_unit_std)
        else:
            result, *statistics = _divide(rows, gain, eps)
        ctx.save_for_backward(weight, gain, *statistics)
        ctx.settings = normalization, filters, eps
        return _unrolled(result, weight)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        weight, gain, mean, measure, factor = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants second derivatives (create_graph=True)
            return *_gradients_by_equation(weight, gain, outer[0], *ctx.settings), None, None, None
        rows, outer_rows = _rows(weight, weight), _rows(outer[0], weight)
        factors = factor if gain is None else gain * factor
        if mean is None:
            found, by_factor = torch.ops.aten._weight_norm_interface_backward(
                outer_rows, rows, factors[:, None], measure[:, None], 0
            )
        else:
            count, entries = rows.shape
            statistics, sizes = (mean, measure.reciprocal()[None], factors), (1, count, entries, count)
            found, by_factor, _ = torch.ops.aten.native_group_norm_backward(
                outer_rows[None], rows[None], *statistics, *sizes, [True, gain is not None, False]
            )
        by_gain = None if gain is None else by_factor.flatten() * factor
        return _unrolled(found, weight), by_gain, None, None, None


def _centre_and_divide(
    rows: Tensor, gain: Tensor | None, eps: float, norm_of_unit_std: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """AWS paper, eq. 24 and 25. Returns the result, and per filter: mean, std, and the factor beside gain / std.

    The kernel adds its own eps to a variance. The smallest normal number changes no bit of a variance that counts.
    """
    count, entries = rows.shape
    factor = rows.new_full((count,), 1 / norm_of_unit_std)
    smallest = torch.finfo(rows.dtype).tiny
    result, mean, inverse_std = torch.native_group_norm(
        rows[None], factor if gain is None else gain * factor, None, 1, count, entries, count, smallest
    )
    std = inverse_std[0].reciprocal()
    threshold = max(eps / norm_of_unit_std, 2 * zero_up_to(std))
    if not rows.is_cuda and std.min() > threshold:  # a GPU would have to be waited for
        return result, mean, std, factor
    divided = std > threshold
    result.mul_((std / factor).where(~divided, 1.0)[None, :, None])
    return result, mean, std.where(divided, AS_IS), factor.where(divided, AS_IS)


def _divide(rows: Tensor, gain: Tensor | None, eps: float) -> tuple[Tensor, None, Tensor, Tensor]:
    """AWS paper, eq. 23. Returns the result, and per filter: no mean, norm, and the factor beside gain / norm.

    For a zero filter the kernel computes 0 / 0. On a GPU, norm and product cost as many reads and writes as the kernel.
    """
    factor = rows.new_ones(len(rows))
    gains = factor if gain is None else gain
    if rows.is_cuda:
        norm = torch.linalg.vector_norm(rows, dim=1)
    else:
        result, norms = torch._weight_norm_interface(rows, gains[:, None], 0)
        norm = norms[:, 0]
        if norm.min() > eps:
            return result, None, norm, factor
    divided = norm > eps
    result = rows * gains.where(~divided, gains / norm)[:, None]
    return result, None, norm.where(divided, AS_IS), factor.where(divided, AS_IS)


def _gradients_by_equation(
    weight: Tensor, gain: Tensor | None, outer: Tensor, normalization: Normalization, filters: Filters, eps: float
) -> list[Tensor | None]:
    """Gradients of weight and gain that can be differentiated again."""
    inputs = [weight, gain]
    wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    result = normalize_by_equation(weight, normalization, filters, gain, eps)
    found = dict(zip(map(id, wanted), torch.autograd.grad(result, wanted, outer, create_graph=True)))
    return [found.get(id(tensor)) for tensor in inputs]


def _rows(tensor: Tensor, weight: Tensor) -> Tensor:
    """One row per filter. The entries of a row stand in the order in which they lie in memory in `weight`."""
    ordered = tensor if weight.is_contiguous() else tensor.movedim(1, -1)  # channels_last
    return ordered.reshape(len(tensor), -1).contiguous()


def _unrolled(rows: Tensor, weight: Tensor) -> Tensor:
    """Rows as a tensor of the weight's shape, in the weight's memory format."""
    if weight.is_contiguous():
        return rows.view(weight.shape)
    return rows.view(len(weight), *weight.shape[2:], weight.shape[1]).movedim(-1, 1)


def _is_compiling() -> bool:
    return torch.compiler.is_compiling()
