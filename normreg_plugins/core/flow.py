"""Follow every filter through one real training forward, until a norm takes its scale away or something else reads it.

A dispatch mode sees each operation that touches a tensor, whoever calls it: modules, functions, losses, auxiliary
heads. Layers and norms are stepped over as wholes; between them an output keeps a tag that says, element by element,
which filter it scales with. Operations that only move elements move the tag alike; those that are positively
homogeneous (ReLU, pooling, dropout) keep it; any other operation is a reader that sees the scale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from normreg_plugins.core.parts import Layer, is_norm, is_scale_bias, keeps_channel_statistics, weight_rule
from normreg_plugins.core.reads import NOT_OURS, NormRead, UnreadableError, read

KEEPS_SHAPE = frozenset({"clone", "_to_copy", "detach", "alias", "contiguous", "lift_fresh"})
# fmt: off
MOVES = KEEPS_SHAPE | frozenset(
    {
        "view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "unsqueeze",
        "squeeze", "expand", "slice", "select", "split", "split_with_sizes", "unbind", "cat", "stack", "flip",
        "roll", "narrow", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    }
)
# fmt: on
# fmt: off
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


@dataclass(eq=False)
class Trace:
    """What was seen of one layer's filters."""

    layer: Layer
    rule: str | None
    calls: int = 0
    reads: list[NormRead] = field(default_factory=list)
    feeds_scale_bias: bool = False
    leaks: dict[str, None] = field(default_factory=dict)
    """Readers that see the scale, in words, in the order met."""


@dataclass(frozen=True, eq=False)
class Tag:
    """A tensor whose elements scale with the filters named in `index` (of the tensor's shape)."""

    trace: Trace
    index: Tensor
    biased: bool


class Flow(TorchDispatchMode):
    """Trace the layers of `model` while the mode is on."""

    def __init__(self, model: nn.Module, layers: list[Layer]) -> None:
        super().__init__()
        rules = {layer: weight_rule(layer.module) for layer in layers}
        self.traces = {id(layer.module): Trace(layer, rules[layer]) for layer in layers}
        self._model = model
        self._names = {id(module): name for name, module in model.named_modules()}
        self._by_weight = {id(trace.layer.weight): trace for trace in self.traces.values()}
        self._tags: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._norm_calls: dict[int, set[tuple]] = defaultdict(set)
        self._open: list[nn.Module] = []
        """The layer or norm that is running now, with those that run inside it."""

    @contextmanager
    def watching(self) -> Iterator[Flow]:
        """Trace everything that runs in this context."""
        with self._hooks(), self:
            yield self

    @property
    def mixed_norms(self) -> set[int]:
        """Norms that met different filters in different calls: one statistic of many scales can follow none of them."""
        return {norm for norm, calls in self._norm_calls.items() if len(calls) > 1}

    def finish(self, outputs: Any) -> list[Trace]:
        """What the forward returns is read by whoever asked for it."""
        for tensor in tree_flatten(outputs)[0]:
            for tag in self._of(tensor):
                tag.trace.leaks["the caller (the forward returns it)"] = None
        return list(self.traces.values())

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        handles = []
        for module in self._model.modules():
            if id(module) in self.traces or is_norm(module) or is_scale_bias(module):
                handles.append(module.register_forward_pre_hook(self._enter))
                handles.append(module.register_forward_hook(self._leave, with_kwargs=True, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._open.append(module)

    def _leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        *kwargs, output = rest
        if self._open and self._open[-1] is module:  # else it was running when the watch began: it is the model itself
            self._open.pop()
        if output is None:  # an error on its way out
            return
        if self._open:
            if id(module) in self.traces:
                self.traces[id(module)].leaks[f"{self._names[id(self._open[-1])]}, which it is a part of"] = None
            return
        incoming = [tag for tensor in tree_flatten((args, kwargs))[0] for tag in self._of(tensor)]
        if id(module) in self.traces:
            self._through_layer(self.traces[id(module)], incoming, output)
        else:
            self._into_norm(module, incoming)

    def _through_layer(self, trace: Trace, incoming: list[Tag], output: Any) -> None:
        for tag in incoming:
            tag.trace.leaks[f"{trace.layer.module_name} ({type(trace.layer.module).__name__})"] = None
        outputs = [each for each in tree_flatten(output)[0] if isinstance(each, Tensor)]  # one for each dilation, say
        if outputs and not any(each.numel() for each in outputs):
            return  # no boxes, no evidence
        trace.calls += 1
        for each in outputs if trace.rule is None else ():
            self._tag_filters(trace, each)

    def _tag_filters(self, trace: Trace, output: Tensor) -> None:
        layer = trace.layer
        if output.ndim < -layer.channel_axis or output.shape[layer.channel_axis] != layer.channels:
            trace.leaks[f"its own forward, which returns a tensor of shape {tuple(output.shape)}"] = None
            return
        shape = [1] * output.ndim
        shape[layer.channel_axis] = layer.channels
        index = torch.arange(layer.channels, dtype=torch.int32, device=output.device).view(shape)
        self._tags[output] = [Tag(trace, index.expand(output.shape), layer.bias is not None)]

    def _into_norm(self, module: nn.Module, incoming: list[Tag]) -> None:
        name = self._names[id(module)]
        seen: list[tuple[int, tuple[int, ...] | None]] = []
        for tag in incoming:
            if is_scale_bias(module):
                tag.trace.feeds_scale_bias = True
                tag.trace.leaks[f"{name} (scale-bias, no norm)"] = None
                continue
            try:
                found = read(name, module, tag.index, tag.trace.layer.channels)
            except UnreadableError as why:
                tag.trace.leaks[str(why)] = None
            else:
                tag.trace.reads.append(found)
                seen.append((id(tag.trace), None if found.channels is None else tuple(found.channels.tolist())))
        if keeps_channel_statistics(module):
            self._norm_calls[id(module)].add(tuple(sorted(seen, key=str)))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self._open:
            return output
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        for tensor in tensors:
            if id(tensor) in self._by_weight:
                self._by_weight[id(tensor)].leaks[f"{func.overloadpacket.__name__}, which takes the weight itself"] = (
                    None
                )
        if any(t in self._tags for t in tensors):
            self._follow(func, args, kwargs, tensors, output)
        return output

    def _follow(self, func: Any, args: Any, kwargs: Any, tensors: list[Tensor], output: Any) -> None:
        name = func.overloadpacket.__name__
        if name.startswith(SHAPE_ONLY) or name.endswith("_like"):
            return
        found = [(tensor, tag) for tensor in tensors for tag in self._of(tensor)]
        if name.endswith("_"):  # what was in the tensor written to is gone
            self._tags.pop(tensors[0], None)
        for trace in {tag.trace for _, tag in found}:
            mine = [(tensor, tag) for tensor, tag in found if tag.trace is trace]
            moved = _moved(name, func, args, kwargs, mine, output)
            biased = any(tag.biased for _, tag in mine)
            if moved is None:
                trace.leaks[f"{name}, which its bias goes through" if biased and name in HOMOGENEOUS else name] = None
            else:
                self._tag(moved, output, trace, biased)

    def _tag(self, index: Any, output: Any, trace: Trace, biased: bool) -> None:
        for tensor, entries in zip(tree_flatten(output)[0], tree_flatten(index)[0]):
            if isinstance(entries, Tensor) and bool((entries != NOT_OURS).any()):
                others = [tag for tag in self._of(tensor) if tag.trace is not trace]
                self._tags[tensor] = [*others, Tag(trace, entries, biased)]

    def _of(self, tensor: Any) -> list[Tag]:
        return self._tags.get(tensor, []) if isinstance(tensor, Tensor) else []


def _moved(name: str, func: Callable, args: Any, kwargs: Any, mine: list[tuple[Tensor, Tag]], output: Any) -> Any:
    """The index tensors of an operation's outputs, or None if it sees the scale."""
    if name in MOVES:
        return _replay(name, func, args, kwargs, {id(tensor): tag.index for tensor, tag in mine}, output)
    if name in HOMOGENEOUS and len(mine) == 1:  # y * y would be of degree two
        ((tensor, tag),) = mine
        divides = name.startswith("div") and tensor is not args[0]
        adds = name == "constant_pad_nd" and (args[2] if len(args) > 2 else kwargs.get("value", 0)) != 0
        if not (tag.biased or divides or adds):
            return _resized(tag.index, (output[0] if isinstance(output, tuple) else output).shape)
    return None


def _replay(name: str, func: Callable, args: Any, kwargs: Any, index: dict[int, Tensor], output: Any) -> Any:
    """Do to the index what was done to the tensor; parts that are not ours are marked so."""

    def stand_in(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        nobody = torch.full((), NOT_OURS, dtype=torch.int32, device=value.device)
        return index.get(id(value), nobody.expand(value.shape))

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
