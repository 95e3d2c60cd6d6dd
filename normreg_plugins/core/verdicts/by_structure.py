"""Verdicts by structure: the norm layer that is registered right after a layer is assumed to read it.

This is an assumption, not a proof. `attach` checks it against the first real forward, before anything is updated.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from torch import nn

from normreg_plugins.core.model import (
    Layer,
    is_frozen,
    is_layer,
    is_norm_layer,
    is_scale_bias,
    keeps_channel_statistics,
    layers_of,
    scale_response,
)
from normreg_plugins.core.verdicts.verdict import Kind
from normreg_plugins.core.verdicts.weight_report import NormReader, WeightReport, self_normalized, weakest

UNSEEN = "no norm layer is registered right after it (structure only; pass forward= to trace a forward)"

Followers = dict[int, list[tuple[str, nn.Module]]]


def reports_by_structure(model: nn.Module) -> list[WeightReport]:
    """One report per conv and linear weight, from the order in which modules are registered."""
    layers = layers_of(model)
    followers = registered_after(model)
    return [_report(layer, followers[id(layer.module)]) for layer in layers]


def registered_after(model: nn.Module) -> Followers:
    """By the id of each layer, the modules registered right after it: one in each of its parents, if it is shared."""
    followers: Followers = defaultdict(list)
    for parent_name, parent in model.named_modules():
        prefix = f"{parent_name}." if parent_name else ""
        for (_, child), (next_name, following) in pairwise(parent.named_children()):
            if is_layer(child) and not (isinstance(parent, nn.ModuleList) and is_layer(following)):
                followers[id(child)].append((f"{prefix}{next_name}", following))
            elif _side_by_side(child, following):
                for place, (each, norm) in enumerate(zip(child.children(), following.children())):
                    followers[id(each)].append((f"{prefix}{next_name}.{place}", norm))
    return followers


def _side_by_side(some: nn.Module, others: nn.Module) -> bool:
    """Whether these are a list of layers and a list of as many norm layers."""
    lists = isinstance(some, nn.ModuleList) and isinstance(others, nn.ModuleList) and len(some) == len(others)
    return lists and all(map(is_layer, some.children())) and all(map(is_norm_layer, others.children()))


def _report(layer: Layer, followers: list[tuple[str, nn.Module]]) -> WeightReport:
    if layer.not_scalable is not None:
        return WeightReport(layer, Kind.UNSAFE, str(layer.not_scalable))
    response = scale_response(layer.module)
    if response.seen_by is not None:
        return WeightReport(layer, Kind.FREE, f"its scale is seen by {response.seen_by}")
    if response.normalization is not None:
        return WeightReport(
            layer, *self_normalized(response.normalization), weight_normalization=response.normalization
        )
    for name, module in followers:
        if is_scale_bias(module):
            return WeightReport(
                layer, Kind.FREE, f"{name} is a scale-bias layer, not a norm layer", feeds_scale_bias=True
            )
        if not is_norm_layer(module) or _width(module) != layer.channels:
            return WeightReport(layer, Kind.FREE, UNSEEN)
    readers = tuple(_reader(name, module, layer) for name, module in followers)
    if not readers:
        return WeightReport(layer, Kind.FREE, UNSEEN)
    names = ", ".join(reader.name for reader in readers)
    return WeightReport(layer, weakest([r.kind for r in readers]), f"{names} registered right after it", readers)


def _reader(name: str, norm: nn.Module, layer: Layer) -> NormReader:
    if keeps_channel_statistics(norm):
        return NormReader(name, norm, Kind.COMPENSATED if is_frozen(norm) else Kind.INVARIANT)
    if isinstance(norm, nn.GroupNorm) and norm.num_groups > 1:
        one_each = norm.num_groups == layer.channels
        return NormReader(name, norm, Kind.INVARIANT if one_each else Kind.PER_GROUP, groups=norm.num_groups)
    return NormReader(name, norm, Kind.PER_LAYER)


def _width(norm: nn.Module) -> int | None:
    """How many channels a norm layer expects."""
    for name in ("num_features", "num_channels"):
        if isinstance(getattr(norm, name, None), int):
            return int(getattr(norm, name))
    shape = getattr(norm, "normalized_shape", None)
    if shape is not None:
        return int(shape[0])
    mean = getattr(norm, "running_mean", None)
    return None if mean is None else int(mean.numel())
