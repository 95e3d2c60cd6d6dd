"""What the structure alone promises: a layer and the norm registered right behind it belong together.

This is a promise, not a proof. `attach` holds it against the first real forward before anything is updated.
"""

from __future__ import annotations

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
from normreg_plugins.core.reads import NormRead
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
    """Whether a forward has confirmed it."""


def claims_by_structure(model: nn.Module) -> list[Claim]:
    """One claim per conv and linear weight, from the order in which modules are registered."""
    followers = _followers(model)
    return [_claim(layer, followers.get(id(layer.module))) for layer in layers_of(model)]


def _followers(model: nn.Module) -> dict[int, tuple[str, nn.Module]]:
    """For each layer, the next child of the same parent."""
    followers: dict[int, tuple[str, nn.Module]] = {}
    for parent_name, parent in model.named_modules():
        children = list(parent.named_children())
        for (_, child), (next_name, following) in pairwise(children):
            if is_layer(child):
                name = f"{parent_name}.{next_name}" if parent_name else next_name
                followers.setdefault(id(child), (name, following))
    return followers


def _claim(layer: Layer, follower: tuple[str, nn.Module] | None) -> Claim:
    if layer.spoiled:
        return Claim(layer, Kind.UNSAFE, layer.spoiled)
    rule = weight_rule(layer.module)
    if rule is not None:
        return Claim(layer, *self_normalized(rule), rule=rule)
    if follower is None:
        return Claim(layer, Kind.FREE, UNSEEN)
    name, module = follower
    if is_scale_bias(module):
        return Claim(layer, Kind.FREE, f"{name} is a scale-bias layer, no norm", feeds_scale_bias=True)
    if not is_norm(module) or _width(module) != layer.channels:
        return Claim(layer, Kind.FREE, UNSEEN)
    read = NormRead(name, module, *_reading(module, layer))
    return Claim(layer, read.kind, f"{name} is registered right behind it", (read,))


def self_normalized(rule: str) -> tuple[Kind, str]:
    """What holds for a layer whose own forward divides by a length of its weight (AWS paper, eq. 2-3)."""
    kind = Kind.PER_LAYER if rule == "matrix" else Kind.INVARIANT
    whole = "the whole weight" if rule == "matrix" else "each filter"
    return kind, f"its own forward normalizes {whole} ({rule})"


def _reading(norm: nn.Module, layer: Layer) -> tuple[Kind, None, int]:
    if keeps_channel_statistics(norm):
        return (Kind.COMPENSATED if is_frozen(norm) else Kind.INVARIANT), None, 1
    if isinstance(norm, nn.GroupNorm) and norm.num_groups > 1:
        one_each = norm.num_groups == layer.channels
        return (Kind.INVARIANT if one_each else Kind.PER_GROUP), None, norm.num_groups
    return Kind.PER_LAYER, None, 1


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
