"""What conversion and folding have in common: finding, checking and replacing layers of a net."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.model import OTHER_LAYER, is_norm_layer, keeps_channel_statistics, norm_eps, same_randomness
from normreg_plugins.core.verdicts import Finding, NormReader, find
from normreg_plugins.layers.errors import ConversionError
from normreg_plugins.layers.scale_bias import ScaleBias

Forward = Callable[[nn.Module], Any]


def followed_layers(
    model: nn.Module,
    forward: Forward,
    keep: Sequence[str],
    obstacle: Callable[[Finding], str | None],
    problems: Mapping[str, str] | None = None,
) -> list[Finding]:
    """What core holds of each layer that a norm follows, if there is no obstacle for any of them.

    A layer of which `keep` names the norm is kept with it. One that `forward` never called is a
    problem: nothing is known of it.
    """
    kept = kept_names(model, keep)
    problems = dict(problems or {})
    chosen = []
    for claim in find(model, forward):
        name = claim.layer.module_name
        norms = [read.name for read in claim.readers]
        if kept.intersection([name, *norms]) or (claim.watched and not norms):
            continue
        if why := obstacle(claim) if claim.watched else claim.reason:
            problems[name] = why
        chosen.append(claim)
    if problems:
        raise ConversionError("conversion", problems)
    if not chosen:
        raise SelectionError(f"{type(model).__name__} has no layer that a norm follows")
    return chosen


def kept_names(model: nn.Module, keep: Sequence[str]) -> set[str]:
    """The modules that `keep` names by itself or by a pattern; matching nothing is an error."""
    names = [name for name, _ in model.named_modules()]
    kept = {pattern: {n for n in names if fnmatchcase(n, pattern)} for pattern in keep}
    for pattern, found in kept.items():
        if not found:
            raise SelectionError(f"keep={pattern!r} matches no module of {type(model).__name__}")
    return set().union(*kept.values())


def norms_of(model: nn.Module, keep: Sequence[str] = ()) -> dict[str, nn.Module]:
    """Every norm and every ScaleBias but the kept ones, by name."""
    kept = kept_names(model, keep)
    norms = {n: m for n, m in model.named_modules() if is_norm_layer(m) or isinstance(m, ScaleBias)}
    return {name: norm for name, norm in norms.items() if name not in kept}


def obstacle_to_affine(norm: nn.Module) -> str | None:
    """Why a norm is no fixed scale and shift when it is evaluated."""
    if isinstance(norm, ScaleBias):
        return None
    if not keeps_channel_statistics(norm):
        return f"{type(norm).__name__} takes its statistics from the activations it is given"
    if getattr(norm, "running_mean", None) is None:
        return f"{type(norm).__name__} keeps no running statistics"
    return None


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The scale and shift of an evaluated norm or ScaleBias; float64, so that folding is exact."""
    like = first_tensor(norm).double()

    def values(name: str, default: float) -> Tensor:
        found = getattr(norm, name, None)
        return torch.full_like(like, default) if found is None else found.detach().double()

    scale = values("weight", 1.0) / torch.sqrt(values("running_var", 1.0) + norm_eps(norm))
    return scale, values("bias", 0.0) - values("running_mean", 0.0) * scale


def first_tensor(norm: nn.Module) -> Tensor:
    """One of the tensors with an entry per channel, for its shape, dtype and device."""
    tensors = (getattr(norm, name, None) for name in ("weight", "running_var"))
    return next(t.detach() for t in tensors if t is not None)


def per_channel_of(read: NormReader, factors: Tensor) -> Tensor:
    """From one factor per filter to one per channel of the norm, 1 for those of other layers."""
    if read.channels is None:
        return factors
    return torch.where(read.channels == OTHER_LAYER, 1.0, factors[read.channels.clamp_min(0)])


def replace_(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` is registered."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)


@torch.no_grad()
def relative_change(before: nn.Module, after: nn.Module, forward: Forward) -> float:
    """How far apart two nets evaluate: the largest ||after - before|| / ||before|| of an output."""
    pairs = zip(_evaluated(before, forward), _evaluated(after, forward), strict=True)
    distances = [((b - a).norm(), a.norm()) for a, b in pairs]
    if not distances:
        raise ValueError("forward returns no tensor to compare")
    return max((float(d / n) if d else 0.0 for d, n in distances), key=_nan_is_worst)


def _evaluated(model: nn.Module, forward: Forward) -> list[Tensor]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with same_randomness():
            outputs = tree_flatten(forward(model))[0]
    finally:
        for module, mode in modes:
            module.training = mode
    return [t.detach().double() for t in outputs if isinstance(t, Tensor)]


def _nan_is_worst(number: float) -> float:
    return math.inf if math.isnan(number) else number
