"""What a monitor warns of, done to one layer and the norm layer behind it, in any host."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn


class Damage(NamedTuple):
    do: Callable[[nn.Module, nn.Module], None]
    says: str
    """How the warning begins: a regular expression with {layer} and {norm}."""


@torch.no_grad()
def _zero(layer: nn.Module, _: nn.Module) -> None:
    layer.weight[1] = 0
    layer.weight.register_hook(lambda gradient: torch.cat([gradient[:1], gradient[1:2] * 0, gradient[2:]]))


@torch.no_grad()
def _broken(layer: nn.Module, _: nn.Module) -> None:
    layer.weight.register_hook(lambda gradient: gradient * math.nan)


@torch.no_grad()
def _great_entry(layer: nn.Module, _: nn.Module) -> None:
    layer.weight.mul_(1e6)


@torch.no_grad()
def _great_variance(_: nn.Module, norm: nn.Module) -> None:
    norm.running_var[0] = 60000


@torch.no_grad()
def _fast(layer: nn.Module, _: nn.Module) -> None:
    layer.weight.mul_(0.02)


DAMAGES = {
    "zero": Damage(_zero, r"{layer}: 1 of \d+ filters are zero .* Lower the weight decay"),
    "broken": Damage(_broken, r"{layer}: \d+ of \d+ filters have NaN or Inf .* Return to a checkpoint"),
    "great entry": Damage(
        _great_entry,
        r"({layer}|{norm}\.running_var): an entry of \d.*Half precision ends at 65504.* Lower the learning",
    ),
    "great variance": Damage(_great_variance, r"{norm}\.running_var: an entry of [345]\.\d+e\+04 .* save in float32"),
    "fast": Damage(_fast, r"{layer} turned by \d.* degrees in update \d+, \d+ times as far .* Lower its learning rate"),
}
