"""How far apart two networks evaluate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from normreg_plugins.core.model import same_randomness
from normreg_plugins.layers.followed_layers import Forward


@torch.no_grad()
def relative_change(before: nn.Module, after: nn.Module, forward: Forward) -> float:
    """The largest ||after - before|| / ||before|| of any output; infinite where an output is NaN."""
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
