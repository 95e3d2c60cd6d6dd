"""A net with a layer of every kind, in every memory layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.layer_cases import LAYERS, batch_norm_for, make_layer
from helpers.measures import as_trained


def reversed_axes(weight: Tensor) -> Tensor:
    axes = tuple(reversed(range(weight.ndim)))
    return weight.permute(axes).contiguous().permute(axes)


def channels_last(weight: Tensor) -> Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return weight.contiguous(memory_format=formats.get(weight.ndim, torch.contiguous_format))


LAYOUTS = (Tensor.contiguous, channels_last, reversed_axes)


class Branches(nn.ModuleDict):
    """A layer of every kind, each with a norm layer of its own. `turn` shifts which layer has which memory layout."""

    def __init__(self, dtype: torch.dtype, turn: int) -> None:
        layers = {kind: make_layer(kind, bias=i % 2 == 0) for i, kind in enumerate(LAYERS)}
        super().__init__({kind: nn.Sequential(layer, batch_norm_for(layer)) for kind, layer in layers.items()})
        as_trained(self).to(dtype)
        for i, (layer, _) in enumerate(self.values()):
            layer.weight.data = LAYOUTS[(turn + i) % len(LAYOUTS)](layer.weight.data)
