"""Hyperball: each weight stays on its sphere and turns by an angle that the learning rate alone decides.

Around any torch optimizer: W <- R normalize(W + eta R normalize(u)), where u is the step that the optimizer took from
W, and R is the norm that W had when training began (arXiv 2606.16899).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from normreg_plugins.core.methods.base import DecayOn, Method, Rates
from normreg_plugins.core.methods.scaling import Scaled, Target, scale_
from normreg_plugins.core.model import Per, safe_factors
from normreg_plugins.core.options import require


@torch.no_grad()
def turn_(targets: Sequence[Target], before: Sequence[Tensor], rates: Sequence[float | Tensor]) -> list[Scaled]:
    """W <- R normalize(W + eta R normalize(u)), with W = `before` and u the step from it to the weight now.

    W has the norm R already. So the filter norms do not change, and running statistics stay as they are.
    """
    done = []
    for target, start, eta in zip(targets, before, rates):
        weight, parts, radius = target.weight, target.parts, target.kept["radius"]
        weight.sub_(start)  # u
        parts.scale_(weight, safe_factors(eta * radius, parts.norms(weight)))  # eta R normalize(u); 0 stays 0
        weight.add_(start)
        norms = parts.norms(weight)
        done.append(Scaled(target, norms, safe_factors(radius, norms)))
        parts.scale_(weight, done[-1].factor)  # R normalize(...)
    return done


def onto_sphere_(targets: Sequence[Target]) -> list[Scaled]:
    """W <- R normalize(W), for weights that were loaded rounded or averaged; running statistics follow."""
    norms = [target.parts.norms(target.weight.detach()) for target in targets]
    factors = [safe_factors(target.kept["radius"], norm) for target, norm in zip(targets, norms)]
    return scale_(map(Scaled, targets, norms, factors))


@dataclass(frozen=True, repr=False)
class Hyperball(Method):
    """After each update, W <- R normalize(W + eta R normalize(u)) (Hyperball, arXiv 2606.16899).

    The learning rate is the angle of each update, in radians, whatever the optimizer. Do not use it on weights whose
    scale the network sees: their norm could never change. It copies each weight for the time of an update.

    Args:
        per: 'layer' for one norm per weight, as in the paper, or 'filter'.
        decay_on: where the optimizer's weight decay acts, as in `WeightRescaling`.
        select: names or patterns of weights or layers to act on, in place of all whose scale the network cannot see.
    """

    per: Per = "layer"
    decay_on: DecayOn = "others"

    keeps = ("radius",)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.per in ("layer", "filter"), "per", self.per, "'layer' or 'filter'")

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        for target in targets:
            target.kept["radius"] = target.parts.norms(target.weight.detach())
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
