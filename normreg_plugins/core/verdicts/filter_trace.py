"""Follow every filter through one real training forward, until a norm layer takes its scale away or a reader sees it.

A dispatch mode sees each operation that touches a tensor, whoever calls it: modules, functions, losses, auxiliary
heads. It does not look inside layers and norm layers. Between them a tensor has a tag that says, element by element,
which filter it scales with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, arange, int32, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.weak import WeakIdKeyDictionary

from normreg_plugins.core.model import (
    OTHER_LAYER,
    Layer,
    ScaleResponse,
    SeesScale,
    is_norm_layer,
    is_scale_bias,
    keeps_channel_statistics,
    leaves_of,
    scale_response,
)
from normreg_plugins.core.verdicts.operations import HOMOGENEOUS, SHAPE_ONLY, moved_index
from normreg_plugins.core.verdicts.weight_report import MixedStatisticError, NormReader, norm_reader_of


@dataclass(eq=False)
class Trace:
    """What a forward did with one layer's filters."""

    layer: Layer
    response: ScaleResponse
    calls: int = 0
    readers: list[NormReader] = field(default_factory=list)
    """The norm layers that read its output, once for each call."""
    feeds_scale_bias: bool = False
    scale_readers: dict[str, None] = field(default_factory=dict)
    """Readers that see the scale, in words for people, in the order met."""


@dataclass(frozen=True, eq=False)
class Tag:
    """For each element of a tensor, the filter of `trace` that it scales with; `index` has the tensor's shape."""

    trace: Trace
    index: Tensor
    biased: bool


class FilterTrace(TorchDispatchMode):
    """Traces the layers of `model` while the mode is on."""

    def __init__(self, model: nn.Module, layers: list[Layer]) -> None:
        super().__init__()
        self._traces = [Trace(layer, scale_response(layer.module)) for layer in layers]
        self._by_module: dict[int, list[Trace]] = defaultdict(list)
        """A parametrized module may store several weights."""
        for trace in self._traces:
            self._by_module[id(trace.layer.module)].append(trace)
        self._model = model
        self._names = {id(module): name for name, module in model.named_modules()}
        self._by_weight = {id(trace.layer.weight): trace for trace in self._traces}
        self._tags: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._norm_calls: dict[int, set[tuple]] = defaultdict(set)
        self._open: list[nn.Module] = []
        """The layer or norm layer that runs now, or is examined, and those that run inside it."""
        self._before_hooks: dict[int, list[tuple[Tensor, int]]] = {}
        """What layers with forward hooks returned, before these hooks ran."""

    @contextmanager
    def tracing(self) -> Iterator[FilterTrace]:
        """Trace everything that runs in this context."""
        with self._hooks(), self:
            yield self

    @property
    def mixed_norms(self) -> set[int]:
        """Ids of norm layers that met different filters in different calls.

        One statistic cannot follow filters that are scaled by different factors.
        """
        return {norm for norm, calls in self._norm_calls.items() if len(calls) > 1}

    def finish(self, outputs: Any) -> list[Trace]:
        """End the trace of a forward that returned `outputs`: the caller reads them."""
        for tensor in leaves_of(outputs):
            for tag in self._of(tensor):
                tag.trace.scale_readers["the caller (the forward returns it)"] = None
        return self._traces

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        handles = []
        for module in self._model.modules():
            if id(module) in self._by_module or is_norm_layer(module) or is_scale_bias(module):
                if module._forward_hooks:
                    handles.append(module.register_forward_hook(self._note_output, prepend=True))
                handles.append(module.register_forward_pre_hook(self._enter))
                handles.append(module.register_forward_hook(self._leave, with_kwargs=True, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._open.append(module)

    def _note_output(self, module: nn.Module, args: Any, output: Any) -> None:
        self._before_hooks[id(module)] = _tensors_and_versions(output)

    def _leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        *kwargs, output = rest
        noted = self._before_hooks.pop(id(module), None)
        if self._open and self._open[-1] is module:  # the model itself was entered before the trace began
            self._open.pop()
        if output is None:  # the forward raised an error
            return
        if self._open:
            for trace in self._by_module.get(id(module), ()):
                trace.scale_readers[f"{self._names[id(self._open[-1])]}, which contains it"] = None
            return
        incoming = [tag for tensor in tree_flatten((args, kwargs))[0] for tag in self._of(tensor)]
        self._open.append(module)  # the operations below are not part of the forward
        if id(module) in self._by_module:
            changed = noted is not None and not _same_tensors(noted, _tensors_and_versions(output))
            for trace in self._by_module[id(module)]:
                self._through_layer(trace, incoming, output, SeesScale.HOOK if changed else trace.response.seen_by)
        else:
            self._into_norm(module, incoming)
        self._open.pop()

    def _through_layer(self, trace: Trace, incoming: list[Tag], output: Any, seen_by: SeesScale | None) -> None:
        for tag in incoming:
            tag.trace.scale_readers[f"{trace.layer.module_name} ({type(trace.layer.module).__name__})"] = None
        # A layer may return several tensors, such as one for each dilation.
        outputs = [each for each in tree_flatten(output)[0] if isinstance(each, Tensor)]
        if outputs and not any(each.numel() for each in outputs):
            return  # an empty batch, such as one without boxes, shows nothing
        trace.calls += 1
        if trace.response.normalization is not None:
            return
        if seen_by is not None:
            trace.scale_readers[str(seen_by)] = None
            return
        for each in outputs:
            self._tag_filters(trace, each)

    def _tag_filters(self, trace: Trace, output: Tensor) -> None:
        layer = trace.layer
        if output.ndim < -layer.channel_axis or output.shape[layer.channel_axis] != layer.channels:
            trace.scale_readers[f"its own forward, which returns a tensor of shape {tuple(output.shape)}"] = None
            return
        shape = [1] * output.ndim
        shape[layer.channel_axis] = layer.channels
        index = arange(layer.channels, dtype=int32, device=output.device).view(shape)
        self._tags[output] = [Tag(trace, index.expand(output.shape), layer.bias is not None)]

    def _into_norm(self, module: nn.Module, incoming: list[Tag]) -> None:
        name = self._names[id(module)]
        seen: list[tuple[int, tuple[int, ...] | None]] = []
        for tag in incoming:
            if is_scale_bias(module):
                tag.trace.feeds_scale_bias = True
                tag.trace.scale_readers[f"{name} (a scale-bias layer, not a norm layer)"] = None
                continue
            try:
                found = norm_reader_of(name, module, tag.index, tag.trace.layer.channels)
            except MixedStatisticError as why:
                tag.trace.scale_readers[str(why)] = None
            else:
                tag.trace.readers.append(found)
                seen.append((id(tag.trace), None if found.channels is None else tuple(found.channels.tolist())))
        if keeps_channel_statistics(module):
            self._norm_calls[id(module)].add(tuple(sorted(seen, key=str)))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self._open:
            return output
        tensors = [*_tensors_in((*args, *kwargs.values()))]
        for trace in filter(None, (self._by_weight.get(id(tensor)) for tensor in tensors)):
            trace.scale_readers[f"{func.overloadpacket.__name__}, which takes the weight itself"] = None
        if any(t in self._tags for t in tensors):
            self._follow(func, args, kwargs, tensors, output)
        return output

    def _follow(self, func: Any, args: Any, kwargs: Any, tensors: list[Tensor], output: Any) -> None:
        name = func.overloadpacket.__name__
        if name.startswith(SHAPE_ONLY) or name.endswith("_like"):
            return
        found = [(tensor, tag) for tensor in tensors for tag in self._of(tensor)]
        if name.endswith("_"):  # an operation in place writes over its first tensor
            self._tags.pop(tensors[0], None)
        for trace in {tag.trace for _, tag in found}:
            tags = [(tensor, tag) for tensor, tag in found if tag.trace is trace]
            biased = any(tag.biased for _, tag in tags)
            index = [(tensor, tag.index) for tensor, tag in tags]
            moved = moved_index(name, func, args, kwargs, index, biased, output)
            if moved is None:
                by = f"{name}, after its bias was added" if biased and name in HOMOGENEOUS else name
                trace.scale_readers[by] = None
            else:
                self._tag(moved, output, trace, biased)

    def _tag(self, index: Any, output: Any, trace: Trace, biased: bool) -> None:
        for tensor, entries in zip(tree_flatten(output)[0], tree_flatten(index)[0]):
            if isinstance(entries, Tensor) and bool((entries != OTHER_LAYER).any()):
                others = [tag for tag in self._of(tensor) if tag.trace is not trace]
                self._tags[tensor] = [*others, Tag(trace, entries, biased)]

    def _of(self, tensor: Any) -> list[Tag]:
        return self._tags.get(tensor, []) if isinstance(tensor, Tensor) else []


def _tensors_and_versions(output: Any) -> list[tuple[Tensor, int]]:
    return [(each, each._version) for each in tree_flatten(output)[0] if isinstance(each, Tensor)]


def _same_tensors(before: list[tuple[Tensor, int]], after: list[tuple[Tensor, int]]) -> bool:
    """Whether these are the same tensors, and nothing was written to them in between."""
    return len(before) == len(after) and all(a is b and v == w for (a, v), (b, w) in zip(before, after))


def _tensors_in(arguments: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors that an operation takes, alone or in lists; several times faster than torch's flattening of trees."""
    for each in arguments:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors_in(each)
