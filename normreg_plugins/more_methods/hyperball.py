"""Hyperball: each weight stays on its sphere and turns by an angle that the learning rate alone decides.

Around any torch optimizer: W <- R normalize(W + eta R normalize(u)), where u is the step that the optimizer took from
W, and R is the norm that W had when training began (arXiv 2606.16899).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from normreg_plugins.core.methods import DecayOn, Method, Rates, Scaled, Target, scale_
from normreg_plugins.core.model import Per, safe_factors
from normreg_plugins.core.options import require


@torch.no_grad()
def turn_(targets: Sequence[Target], before: Sequence[Tensor], rates: Sequence[float | Tensor]) -> list[Scaled]:
    """W <- R normalize(W + eta R normalize(u)), with W = `before` and u the step from it to the weight now."""
    steps = [target.weight - start for target, start in zip(targets, before)]  # u
    for target, start in zip(targets, before):
        target.weight.copy_(start)
    scaled = scale_(map(_onto_its_sphere, targets))  # W is there already, except after loading rounded weights
    for target, step, eta in zip(targets, steps, rates):
        radius, parts = target.kept["radius"], target.parts
        parts.scale_(step, safe_factors(eta * radius, parts.norms(step)))  # eta R normalize(u); a zero step stays zero
        target.weight.add_(step)
        parts.scale_(target.weight, safe_factors(radius, parts.norms(target.weight)))  # R normalize(...)
    return scaled


def _onto_its_sphere(target: Target) -> Scaled:
    norms = target.parts.norms(target.weight)
    return Scaled(target, norms, safe_factors(target.kept["radius"], norms))


@dataclass(frozen=True, repr=False)
class Hyperball(Method):
    """After each update, W <- R normalize(W + eta R normalize(u)) (Hyperball, arXiv 2606.16899).

    The learning rate is the angle of each update, in radians, whatever the optimizer. Do not use it on weights whose
    scale the network sees: they could not change their norm. It keeps one copy of each weight between the gradient and
    the end of the update.

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
        before = [target.scratch.pop("before", target.weight.detach()) for target in targets]
        return turn_(targets, before, rates())
