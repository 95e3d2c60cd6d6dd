"""What conversion and folding share: their errors, norm layers as affine maps, and the check of the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import NormRegError, SelectionError
from normreg_plugins.core.model import (
    evaluation_mode,
    is_norm_layer,
    keeps_channel_statistics,
    leaves_of,
    norm_eps,
    same_randomness,
)
from normreg_plugins.layers.scale_bias import ScaleBias

Forward = Callable[[nn.Module], Any]


class ConversionError(NormRegError):
    """Some layers cannot be converted or folded. `layers` has the reason for each by name."""

    def __init__(self, doing: str, layers: Mapping[str, str]) -> None:
        self.layers = dict(layers)
        rows = "".join(f"\n  {name}: {reason}" for name, reason in self.layers.items())
        super().__init__(
            f"{doing} is not possible for {len(self.layers)} of the layers:{rows}\n"
            "To leave them unchanged, pass their names (or patterns) as keep=[...]."
        )


class AlreadyConvertedError(NormRegError):
    """The network or checkpoint was converted before. A second conversion would change its function."""


def excluded_names(model: nn.Module, keep: Sequence[str]) -> set[str]:
    """The modules that `keep` selects by name or pattern. An entry that matches nothing is an error."""
    names = [name for name, _ in model.named_modules()]
    matches = {pattern: {n for n in names if fnmatchcase(n, pattern)} for pattern in keep}
    for pattern, found in matches.items():
        if not found:
            raise SelectionError(f"keep={pattern!r} matches no module of {type(model).__name__}")
    return set().union(*matches.values())


def norm_layers_of(model: nn.Module, keep: Sequence[str] = ()) -> dict[str, nn.Module]:
    """Every norm layer and every ScaleBias by name, except those that `keep` selects."""
    excluded = excluded_names(model, keep)
    norms = {n: m for n, m in model.named_modules() if is_norm_layer(m) or isinstance(m, ScaleBias)}
    return {name: norm for name, norm in norms.items() if name not in excluded}


def obstacle_to_affine(norm: nn.Module) -> str | None:
    """Why a norm layer is no fixed scale and shift in evaluation; None if it is."""
    if isinstance(norm, ScaleBias):
        return None
    if not keeps_channel_statistics(norm):
        return f"{type(norm).__name__} computes its statistics from its input"
    if getattr(norm, "running_mean", None) is None:
        return f"{type(norm).__name__} has no running statistics"
    return None


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and shift of a norm layer or ScaleBias in evaluation; float64, so that folding is exact."""
    like = first_tensor(norm).double()

    def values(name: str, default: float) -> Tensor:
        found = getattr(norm, name, None)
        return torch.full_like(like, default) if found is None else found.detach().double()

    scale = values("weight", 1.0) / torch.sqrt(values("running_var", 1.0) + norm_eps(norm))
    return scale, values("bias", 0.0) - values("running_mean", 0.0) * scale


def first_tensor(norm: nn.Module) -> Tensor:
    """A tensor of the norm layer with an entry per channel, for its shape, dtype and device."""
    tensors = (getattr(norm, name, None) for name in ("weight", "running_var"))
    return next(t.detach() for t in tensors if t is not None)


def replace_(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` is registered."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)


@torch.no_grad()
def relative_change(before: nn.Module, after: nn.Module, forward: Forward) -> float:
    """The largest ||after - before|| / ||before|| of any output in evaluation; infinite where an output is NaN."""
    pairs = zip(_evaluated(before, forward), _evaluated(after, forward), strict=True)
    distances = [((b - a).norm(), a.norm()) for a, b in pairs]
    if not distances:
        raise ValueError("forward returns no tensor to compare")
    changes = [float(d / n) if d else 0.0 for d, n in distances]
    return max(math.inf if math.isnan(change) else change for change in changes)


def _evaluated(model: nn.Module, forward: Forward) -> list[Tensor]:
    with evaluation_mode(model), same_randomness():
        outputs = [*leaves_of(forward(model))]
    return [t.detach().double() for t in outputs if isinstance(t, Tensor)]
