"""Which parameters of a model have weight decay under a method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from normreg_plugins.core.methods import DecayOn
from normreg_plugins.core.model import is_norm_layer, is_scale_bias, layers_of


def named_by(decay_on: DecayOn, model: nn.Module) -> list[Tensor]:
    """The parameters that `decay_on` names as those with weight decay; none for 'all' and 'others', which name none."""
    norm_layers: list[Any] = [m for m in model.modules() if is_norm_layer(m) or is_scale_bias(m)]
    if decay_on == "norm_layers":
        return [p for norm in norm_layers for p in norm.parameters(recurse=False)]
    if decay_on == "kernels_and_gammas":
        gammas = [norm.weight for norm in norm_layers if norm._parameters.get("weight") is not None]
        return [layer.weight for layer in layers_of(model)] + gammas
    return []


def spared_from_decay(model: nn.Module, decay_on: DecayOn, targets: Iterable[Tensor]) -> set[int]:
    """The ids of the parameters that get no weight decay."""
    if decay_on == "all":
        return set()
    if decay_on == "others":
        return {id(target) for target in targets}
    return {id(p) for p in model.parameters()} - {id(p) for p in named_by(decay_on, model)}
