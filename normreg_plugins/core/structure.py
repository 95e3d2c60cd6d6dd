"""What the structure alone promises: a layer and the norm registered right behind it belong together.

This is a promise, not a proof. `attach` holds it against the first real forward before anything is updated.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from normreg_plugins.core.parts import (
    Layer,
    is_frozen,
    is_layer,
    is_norm,
    is_scale_bias,
    keeps_channel_statistics,
    layers_of,
    weight_rule,
)
from normreg_plugins.core.reads import NormRead, weakest
from normreg_plugins.core.verdict import Kind

UNSEEN = "no norm is registered right behind it (structure only; pass forward= to look closer)"


@dataclass(eq=False)
class Claim:
    """What is held of one layer: its kind, why, and the norms that read it."""

    layer: Layer
    kind: Kind
    reason: str
    reads: tuple[NormRead, ...] = ()
    feeds_scale_bias: bool = False
    rule: str | None = None
    seen: bool = False
    """Whether it was seen on a forward."""
    repairable: bool = False
    """Whether a forward has shown the norms that read it, each with statistics of these filters alone."""


def claims_by_structure(model: nn.Module) -> list[Claim]:
    """One claim per conv and linear weight, from the order in which modules are registered."""
    followers = _followers(model)
    return [_claim(layer, followers[id(layer.module)]) for layer in layers_of(model)]


def _followers(model: nn.Module) -> dict[int, list[tuple[str, nn.Module]]]:
    """For each layer, the next child of every parent it has: a shared convolution may have a norm in each."""
    followers: dict[int, list[tuple[str, nn.Module]]] = defaultdict(list)
    for parent_name, parent in model.named_modules():
        prefix = f"{parent_name}." if parent_name else ""
        for (_, child), (next_name, following) in pairwise(parent.named_children()):
            if is_layer(child) and not (isinstance(parent, nn.ModuleList) and is_layer(following)):
                followers[id(child)].append((f"{prefix}{next_name}", following))
            elif _parallel(child, following):
                for place, (each, norm) in enumerate(zip(child.children(), following.children())):
                    followers[id(each)].append((f"{prefix}{next_name}.{place}", norm))
    return followers


def _parallel(some: nn.Module, others: nn.Module) -> bool:
    """A list of layers beside a list of as many norms."""
    lists = isinstance(some, nn.ModuleList) and isinstance(others, nn.ModuleList) and len(some) == len(others)
    return lists and all(map(is_layer, some.children())) and all(map(is_norm, others.children()))


def _claim(layer: Layer, followers: list[tuple[str, nn.Module]]) -> Claim:
    if layer.spoiled:
        return Claim(layer, Kind.UNSAFE, layer.spoiled)
    rule = weight_rule(layer.module)
    if rule is not None:
        return Claim(layer, *self_normalized(rule), rule=rule)
    for name, module in followers:
        if is_scale_bias(module):
            return Claim(layer, Kind.FREE, f"{name} is a scale-bias layer, no norm", feeds_scale_bias=True)
        if not is_norm(module) or _width(module) != layer.channels:
            return Claim(layer, Kind.FREE, UNSEEN)
    reads = tuple(_read(name, module, layer) for name, module in followers)
    if not reads:
        return Claim(layer, Kind.FREE, UNSEEN)
    names = ", ".join(read.norm_name for read in reads)
    return Claim(layer, weakest([read.kind for read in reads]), f"{names} registered right behind it", reads)


def self_normalized(rule: str) -> tuple[Kind, str]:
    """What holds for a layer whose own forward divides by a length of its weight (AWS paper, eq. 2-3)."""
    kind = Kind.PER_LAYER if rule == "matrix" else Kind.INVARIANT
    whole = "the whole weight" if rule == "matrix" else "each filter"
    return kind, f"its own forward normalizes {whole} ({rule})"


def _read(name: str, norm: nn.Module, layer: Layer) -> NormRead:
    if keeps_channel_statistics(norm):
        return NormRead(name, norm, Kind.COMPENSATED if is_frozen(norm) else Kind.INVARIANT)
    if isinstance(norm, nn.GroupNorm) and norm.num_groups > 1:
        one_each = norm.num_groups == layer.channels
        return NormRead(name, norm, Kind.INVARIANT if one_each else Kind.PER_GROUP, groups=norm.num_groups)
    return NormRead(name, norm, Kind.PER_LAYER)


def _width(norm: nn.Module) -> int | None:
    """How many channels a norm expects."""
    for name in ("num_features", "num_channels"):
        if isinstance(getattr(norm, name, None), int):
            return int(getattr(norm, name))
    shape = getattr(norm, "normalized_shape", None)
    if shape is not None:
        return int(shape[0])
    mean = getattr(norm, "running_mean", None)
    return None if mean is None else int(mean.numel())
