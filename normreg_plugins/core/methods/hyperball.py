"""Hyperball: each weight stays on its sphere and turns by an angle that the learning rate alone decides.

Around any torch optimizer: W <- R normalize(W + eta R normalize(u)), where u is the step that the optimizer took from
W, and R is the norm that W had when training began (arXiv 2606.16899).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from normreg_plugins.core.methods.base import DecayOn, Method, Rates
from normreg_plugins.core.methods.target import Scaled, Target, scale_
from normreg_plugins.core.model import Per, elementwise, safe_factors
from normreg_plugins.core.options import require


@torch.no_grad()
def turn_(targets: Sequence[Target], before: list[Tensor], rates: Sequence[float | Tensor]) -> list[Scaled]:
    """W <- R normalize(W + eta R normalize(u)), with W = `before` and u the step from it to the weight now.

    W has the norm R already, so filter norms do not change, and running statistics stay as they are.
    """
    weights: list[Tensor] = [target.weight for target in targets]
    radii = [target.state["radius"] for target in targets]
    torch._foreach_sub_(weights, before)  # u
    arcs = elementwise(operator.mul, rates, radii)  # eta R
    _scale_parts_(targets, elementwise(safe_factors, arcs, _norms(targets)))  # eta R normalize(u); 0 stays 0
    torch._foreach_add_(weights, before)
    norms = _norms(targets)
    _scale_parts_(targets, elementwise(safe_factors, radii, norms))  # R normalize(...)
    return list(map(Scaled, targets, norms))


def onto_sphere_(targets: Sequence[Target]) -> list[Scaled]:
    """W <- R normalize(W), for weights that were loaded rounded or averaged; running statistics follow."""
    norms = _norms(targets)
    return scale_(targets, norms, elementwise(safe_factors, [target.state["radius"] for target in targets], norms))


def _scale_parts_(targets: Sequence[Target], factors: Sequence[Tensor]) -> None:
    for target, factor in zip(targets, factors):
        target.parts.scale_(target.weight, factor)


def _norms(targets: Sequence[Target]) -> list[Tensor]:
    return [target.parts.total_norms(target.weight.detach()) for target in targets]


@dataclass(frozen=True, repr=False)
class Hyperball(Method):
    """After each update, W <- R normalize(W + eta R normalize(u)) (Hyperball, arXiv 2606.16899).

    The learning rate is the angle of each update, in radians, whatever the optimizer. Do not use it on weights whose
    scale the network sees: their norm could never change. It copies each weight during an update.

    Args:
        per: 'layer' for one norm per weight, as in the paper, or 'filter'.
        decay_on: where the optimizer's weight decay acts, as in `WeightRescaling`.
        select: names or patterns of weights or layers to act on, instead of all whose scale the network cannot see.
    """

    per: Per = "layer"
    decay_on: DecayOn = "others"

    state_keys = ("radius",)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.per in ("layer", "filter"), "per", self.per, "'layer' or 'filter'")

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        for target, norm in zip(targets, _norms(targets)):
            target.state["radius"] = norm
        return []

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        for target in targets:
            target.scratch["before"] = target.weight.detach().clone()
        return []

    def after_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        moved = [target for target in targets if "before" in target.scratch]
        if not moved:  # weights were loaded, and no update was made
            return onto_sphere_(targets)
        return turn_(moved, [target.scratch.pop("before") for target in moved], rates())
