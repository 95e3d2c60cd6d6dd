"""What each tensor operation does to the filters behind its elements.

An operation that only moves elements moves the index of filters in the same way. A positively homogeneous operation,
f(a x) = a f(x) for a > 0, keeps the index: ReLU, pooling and dropout are such. Any other operation sees the scale of
the filters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from normreg_plugins.core.model import OTHER_LAYER

# fmt: off
KEEPS_SHAPE = frozenset({"clone", "_to_copy", "detach", "alias", "contiguous", "lift_fresh"})
MOVES = KEEPS_SHAPE | frozenset(
    {
        "view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "unsqueeze",
        "squeeze", "expand", "slice", "select", "split", "split_with_sizes", "unbind", "cat", "stack", "flip",
        "roll", "narrow", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    }
)
HOMOGENEOUS = frozenset(
    {
        "relu", "relu_", "leaky_relu", "leaky_relu_", "_prelu_kernel", "neg", "mul", "mul_", "div", "div_",
        "native_dropout", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "avg_pool1d",
        "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d",
        "mean", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_bilinear2d",
        "upsample_bicubic2d", "_upsample_nearest_exact2d", "constant_pad_nd", "reflection_pad2d",
        "replication_pad2d",
    }
)
# fmt: on
SHAPE_ONLY = ("empty", "zeros", "ones", "full", "new_", "rand", "sym_", "is_same_size", "_local_scalar")


def moved_index(
    name: str, func: Callable, args: Any, kwargs: Any, index: Sequence[tuple[Tensor, Tensor]], biased: bool, output: Any
) -> Any:
    """The filters behind each element of an operation's outputs, or None if the operation sees their scale.

    Args:
        index: for each input tensor, as often as it enters, the filter behind each of its elements.
        biased: whether a bias was added to what enters.
    """
    if name in MOVES:
        return _replay(name, func, args, kwargs, {id(tensor): filters for tensor, filters in index}, output)
    if name in HOMOGENEOUS and len(index) == 1:  # y * y scales with the square
        ((tensor, filters),) = index
        divides = name.startswith("div") and tensor is not args[0]
        adds = name == "constant_pad_nd" and (args[2] if len(args) > 2 else kwargs.get("value", 0)) != 0
        if not (biased or divides or adds):
            return _resized(filters, (output[0] if isinstance(output, tuple) else output).shape)
    return None


def _replay(name: str, func: Callable, args: Any, kwargs: Any, index: Mapping[int, Tensor], output: Any) -> Any:
    """Do to the index what was done to the tensor; elements of other layers are marked so."""

    def stand_in(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        other = torch.full((), OTHER_LAYER, dtype=torch.int32, device=value.device)
        return index.get(id(value), other.expand(value.shape))

    if name in KEEPS_SHAPE:
        return stand_in(args[0])
    if name in ("view", "_unsafe_view", "reshape", "_reshape_alias"):  # a view of an expanded index may need a copy
        return stand_in(args[0]).reshape(output.shape)
    return func(*tree_map(stand_in, args), **tree_map(stand_in, kwargs))


def _resized(index: Tensor, shape: torch.Size) -> Tensor | None:
    """The index after pooling, padding or broadcasting: along an axis that changed it must have been constant."""
    if index.ndim != len(shape):
        return None
    for axis, size in enumerate(shape):
        if index.shape[axis] != size:
            first = index.narrow(axis, 0, 1)
            if index.stride(axis) and not bool((index == first).all()):
                return None
            index = first.expand(*index.shape[:axis], size, *index.shape[axis + 1 :])
    return index
