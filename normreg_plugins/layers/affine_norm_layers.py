"""Norm layers as the scale and shift that they are when they are evaluated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import is_norm_layer, keeps_channel_statistics, norm_eps
from normreg_plugins.layers.followed_layers import kept_names
from normreg_plugins.layers.scale_bias import ScaleBias


def norm_layers_of(model: nn.Module, keep: Sequence[str] = ()) -> dict[str, nn.Module]:
    """Every norm layer and every ScaleBias by name, without those that `keep` names."""
    kept = kept_names(model, keep)
    norms = {n: m for n, m in model.named_modules() if is_norm_layer(m) or isinstance(m, ScaleBias)}
    return {name: norm for name, norm in norms.items() if name not in kept}


def obstacle_to_affine(norm: nn.Module) -> str | None:
    """Why an evaluated norm layer is no fixed scale and shift; None if it is."""
    if isinstance(norm, ScaleBias):
        return None
    if not keeps_channel_statistics(norm):
        return f"{type(norm).__name__} takes its statistics from the activations it is given"
    if getattr(norm, "running_mean", None) is None:
        return f"{type(norm).__name__} keeps no running statistics"
    return None


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The scale and shift of an evaluated norm layer or ScaleBias; in float64, so that folding is exact."""
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


def replace_(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put `new` wherever `old` is registered."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)
