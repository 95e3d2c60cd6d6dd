"""From a network with norm, weight-normalized or scale-bias layers to plain layers with a bias."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import filters_of, is_layer
from normreg_plugins.core.verdicts import Kind, WeightReport, find
from normreg_plugins.layers.normalized import MIXINS, NormalizedWeight, plain_layer_
from normreg_plugins.layers.scale_bias import ScaleBias
from normreg_plugins.layers.surgery import (
    ConversionError,
    Forward,
    affine_of,
    excluded_names,
    norm_layers_of,
    obstacle_to_affine,
    replace_,
)

Sources = dict[nn.Module, set["nn.Module | None"]]


@torch.no_grad()
def fold(model: nn.Module, forward: Forward, *, keep: Sequence[str] = ()) -> nn.Module:
    """The plain network for inference, in eval mode. It computes what `model` computes in evaluation.

    A weight-normalized layer becomes the torch layer with the weight that it computed with. A norm layer with running
    statistics, or a ScaleBias, that directly follows a layer is folded into that layer's weight and bias. An
    nn.Identity replaces it, so that no other module changes its name.

    Args:
        forward: runs one training forward of the model it is given, as for `find_scale_invariant`.
        keep: names or patterns of layers and norm layers to leave unchanged.
    """
    excluded = excluded_names(model, keep)
    pairs = _pairs(model, forward, keep, excluded)
    result = copy.deepcopy(model)
    if not _plain_layers_(result, excluded) and not pairs:
        raise SelectionError(f"{type(model).__name__} has nothing to fold")
    for norm_name, layer_name in pairs.items():
        norm = result.get_submodule(norm_name)
        _fold_(result.get_submodule(layer_name), *affine_of(norm))
        replace_(result, norm, nn.Identity())
    return result.eval()


def _pairs(model: nn.Module, forward: Forward, keep: Sequence[str], excluded: Collection[str]) -> dict[str, str]:
    """For each norm layer the layer that it can be folded into, found on a copy.

    One error names all norm layers that have none.
    """
    scratch = copy.deepcopy(model)
    _plain_layers_(scratch, excluded)
    _freeze_scale_biases_(scratch)
    with _traced_sources(scratch) as sources:
        reports = {report.layer.module: report for report in find(scratch, forward)}
    pairs, problems = {}, {}
    for name, norm in norm_layers_of(scratch, keep).items():
        found = [reports.get(module) for module in sources[norm]]  # type: ignore[arg-type]
        if any(report and report.layer.module_name in excluded for report in found):
            continue
        if why := obstacle_to_affine(norm) or _obstacle_to_folding(found):
            problems[name] = why
        else:
            pairs[name] = found[0].layer.module_name  # type: ignore[union-attr]
    if problems:
        raise ConversionError("folding", problems)
    return pairs


def _obstacle_to_folding(sources: list[WeightReport | None]) -> str | None:
    """Why a norm layer with these sources cannot be folded into the layer before it; None if it can."""
    if not sources:
        return "this forward never called it"
    if len(sources) > 1 or sources[0] is None:
        return "its input is not the bare output of one layer"
    report = sources[0]
    if report.kind not in (Kind.INVARIANT, Kind.COMPENSATED):
        return f"{report.layer.module_name} has other readers: {report.reason}"
    if len(report.readers) > 1:
        return f"{report.layer.module_name} is read by {len(report.readers)} norm layers"
    if not isinstance(report.layer.module, tuple(MIXINS)):
        return f"{report.layer.module_name} is a {type(report.layer.module).__name__}"
    return None


def _plain_layers_(model: nn.Module, excluded: Collection[str]) -> int:
    """Turn the weight-normalized layers into plain ones, and count them."""
    names = {name: m for name, m in model.named_modules() if isinstance(m, NormalizedWeight)}
    chosen = [layer for name, layer in names.items() if name not in excluded]
    for layer in chosen:
        plain_layer_(layer)
    return len(chosen)


class _FrozenNorm(nn.Module):
    """A ScaleBias in evaluation, as the norm layer that it is then: mean 0, variance 1, eps 0."""

    def __init__(self, layer: ScaleBias) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("running_mean", torch.zeros_like(layer.bias))
        self.register_buffer("running_var", torch.ones_like(layer.weight))

    def forward(self, x: Tensor) -> Tensor:
        channels = (1, -1, *(1,) * (x.ndim - 2))
        return self.weight.view(channels) * x + self.bias.view(channels)


def _freeze_scale_biases_(model: nn.Module) -> None:
    """Replace each ScaleBias, so that the trace finds the layers that it follows."""
    for layer in [module for module in model.modules() if isinstance(module, ScaleBias)]:
        replace_(model, layer, _FrozenNorm(layer))


@contextmanager
def _traced_sources(model: nn.Module) -> Iterator[Sources]:
    """The layers whose unchanged outputs each norm layer gets as input. None stands for any other tensor."""
    made: dict[int, tuple[nn.Module, Tensor, int]] = {}  # keeps the tensors alive, so no id is used twice
    sources: Sources = defaultdict(set)

    def note_output(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            made[id(output)] = (module, output, output._version)

    def note_input(module: nn.Module, args: Any) -> None:
        source, tensor, version = made.get(id(args[0]), (None, args[0], 0))
        sources[module].add(source if tensor._version == version else None)

    handles = [m.register_forward_hook(note_output) for m in model.modules() if is_layer(m)]
    handles += [m.register_forward_pre_hook(note_input) for m in norm_layers_of(model).values()]
    try:
        yield sources
    finally:
        for handle in handles:
            handle.remove()


def _fold_(layer: Any, scale: Tensor, shift: Tensor) -> None:
    """scale * (W x + b) + shift = (scale * W) x + (scale * b + shift)."""
    filters, weight, bias = filters_of(layer), layer.weight, layer.bias
    shape = [1 if axis in filters.dims else n for axis, n in enumerate(filters.shape)]
    filters.scale_(weight, scale.view(shape))
    shifted = shift if bias is None else bias.double() * scale + shift
    layer.bias = nn.Parameter(shifted.to(weight.dtype), requires_grad=weight.requires_grad)
