"""Measure and scale the filters of many weights in one launch of a GPU kernel.

The usual way takes two launches for each weight. This one reads each weight from the GPU's memory once and writes it
once. It is off unless the environment says NORMREG_ONE_LAUNCH=1, because it was never run on a GPU; tests compare it
with the usual way in Triton's interpreter. It takes weights whose filters lie in one piece each: not those of
transposed convolutions, shards, or parts other than filters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from normreg_plugins.core.model.filters import Filters, at_least_float32, zero_up_to

BLOCK = 1024
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def one_launch_takes(weight: Tensor, parts: Filters) -> bool:
    """Whether one launch can scale this weight, and is to."""
    return (
        os.environ.get("NORMREG_ONE_LAUNCH") == "1"
        and has_triton()
        and (weight.is_cuda or os.environ.get("TRITON_INTERPRET") == "1")
        and not hasattr(weight, "to_local")
        and weight.dtype in DTYPES
        and (parts.together, parts.dims, parts.shape) == (1, tuple(range(1, weight.ndim)), tuple(weight.shape))
        and weight.stride(0) == parts.fan_in
        and weight.numel() == (weight.shape[0] - 1) * weight.stride(0) + _extent(weight[0])
    )


@cache
def has_triton() -> bool:
    """Whether a Triton is there that knows what the kernel uses; torch 2.6 brings 3.2."""
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    return version >= (2, 6) and find_spec("triton") is not None


def _extent(filter_: Tensor) -> int:
    """How far apart its first and its last entry lie in memory, both included."""
    return 1 + sum((size - 1) * stride for size, stride in zip(filter_.shape, filter_.stride()))


@torch.no_grad()
def scale_each_filter_(
    weights: Sequence[Tensor],
    amounts: float | Sequence[Tensor | float],
    *,
    acts: Tensor | None = None,
    center: bool = False,
    std: bool = False,
    shrink: bool = False,
) -> list[tuple[Tensor, Tensor]]:
    """w <- r w / ||w|| for each filter, or with `shrink` w <- max(0, 1 - r ||w||) w. Returns norms and factors.

    Args:
        weights: all of one dtype, on one device.
        amounts: r, one for all, or for each weight one number or one tensor with an entry for each filter.
        acts: a bool on the device; if it is False, nothing is scaled.
        center: w - mean(w) in place of w.
        std: measure the biased standard deviation of w in place of its norm.
    """
    first = weights[0]
    wide = at_least_float32(first.dtype)
    addresses, lengths, counts = _table(first.device, tuple((w.data_ptr(), *_rows(w)) for w in weights))
    each = _per_filter(amounts, weights, counts, wide)
    sizes, factors = each.new_empty(len(each)), each.new_empty(len(each))
    triton, kernel = _triton()
    kernel[(len(each),)](
        *(addresses, lengths, each, sizes, factors),
        torch.ones((), dtype=torch.int8, device=first.device) if acts is None else acts.to(torch.int8),
        *(getattr(triton.language, str(dtype).removeprefix("torch.")) for dtype in (first.dtype, wide)),
        *(zero_up_to(each), torch.finfo(wide).max, center, std, shrink, BLOCK),
    )
    split = [values.split([len(w) for w in weights]) for values in (sizes, factors)]
    shapes = [(len(w), *[1] * (w.ndim - 1)) for w in weights]
    return [(size.view(shape), factor.view(shape)) for size, factor, shape in zip(*split, shapes)]


def _rows(weight: Tensor) -> tuple[int, int, int]:
    return len(weight), weight.stride(0), weight.element_size()


@lru_cache(maxsize=8)
def _table(device: torch.device, weights: tuple[tuple[int, int, int, int], ...]) -> tuple[Tensor, Tensor, Tensor]:
    """The address and the length of every filter, and the number of filters of every weight."""
    addresses = [start + row * length * width for start, rows, length, width in weights for row in range(rows)]
    lengths = [length for _, rows, length, _ in weights for _ in range(rows)]
    counts = [rows for _, rows, _, _ in weights]
    on_device = partial(torch.tensor, device=device)
    return on_device(addresses), on_device(lengths, dtype=torch.int32), on_device(counts)


def _per_filter(
    amounts: float | Sequence[Tensor | float], weights: Sequence[Tensor], counts: Tensor, dtype: torch.dtype
) -> Tensor:
    device, filters = weights[0].device, sum(map(len, weights))
    if isinstance(amounts, float):
        return torch.full((filters,), amounts, dtype=dtype, device=device)
    if (isinstance(amounts[0], Tensor) and amounts[0].numel() > 1) or len(amounts) == filters:
        return torch.cat([torch.as_tensor(each, dtype=dtype, device=device).flatten() for each in amounts])
    if any(isinstance(each, Tensor) for each in amounts):
        of_weights = torch.stack([torch.as_tensor(each, dtype=dtype, device=device) for each in amounts])
    else:
        on_host = torch.tensor(amounts, dtype=dtype)
        of_weights = (on_host.pin_memory() if device.type == "cuda" else on_host).to(device, non_blocking=True)
    return of_weights.repeat_interleave(counts, output_size=filters)


@cache
def _triton() -> tuple[Any, Any]:
    """Imported late: it takes a second, and only a GPU needs it."""
    import triton

    from normreg_plugins.core.model.filter_kernel import scale_each_filter

    return triton, scale_each_filter
