"""Hyperball: each weight stays on its sphere and turns by an angle that the optimizer's settings alone decide.

Around any torch optimizer: W <- R normalize(W + eta R normalize(u)), where u is the step that the optimizer took from
W, and R is the norm that W had when training began (arXiv 2606.16899).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods.base import DecayOn, Method, Rates
from normreg_plugins.core.methods.target import Scaled, Target, scale_
from normreg_plugins.core.model import Per, elementwise, safe_factors
from normreg_plugins.core.options import require

Angle = Literal["rate", "decay"]
SMALLEST = torch.finfo(torch.float32).tiny


@torch.no_grad()
def turn_(
    targets: Sequence[Target], before: list[Tensor], angles: Sequence[Any], rates: Sequence[Any] | None = None
) -> list[Scaled]:
    """W <- R normalize(W + angle R normalize(u)), with W = `before` and u the step from it to the weight now.

    W has the norm R already, so filter norms do not change, and running statistics stay as they are.

    Args:
        rates: with learning rates, u is divided by a running average of its norm instead of by its norm.
    """
    weights: list[Tensor] = [target.weight for target in targets]
    radii = [target.state["radius"] for target in targets]
    torch._foreach_sub_(weights, before)  # u
    arcs = elementwise(operator.mul, angles, radii)
    sizes = _norms(targets) if rates is None else list(map(_average_, targets, _norms(targets), rates))
    _scale_parts_(targets, elementwise(safe_factors, arcs, sizes))  # angle R normalize(u); 0 stays 0
    torch._foreach_add_(weights, before)
    norms = _norms(targets)
    factors = elementwise(safe_factors, radii, norms)
    _scale_parts_(targets, factors)  # R normalize(...)
    return list(map(Scaled, targets, norms, factors))


def _average_(target: Target, norm: Tensor, rate: Any) -> Tensor:
    """A running average (0.9) of ||u|| / eta, times eta: a schedule that lowers eta must not wait for the average."""
    rate = rate.clamp_min(SMALLEST) if isinstance(rate, Tensor) else max(rate, SMALLEST)
    new, old = norm / rate, target.state["step"]
    target.state["step"] = torch.where(old > 0, 0.9 * old + 0.1 * new, new)
    return target.state["step"] * rate


def implied_angles(rates: Rates) -> list[Any]:
    """The angle per update at the equilibrium of learning rate eta and weight decay lambda (Kosson et al. 2024).

    sqrt(2 eta lambda / (1 + mu)) for SGD with momentum mu, sqrt(2 eta lambda (1 - b1) / (1 + b1)) for AdamW.
    """
    decays, momenta, betas = rates("weight_decay"), rates("momentum"), rates("betas")
    coupled = [decoupled is False for decoupled in rates("decoupled_weight_decay")]
    if not any(decays) or any(coupled) or any(mu is None and b is None for mu, b in zip(momenta, betas)):
        raise NormRegError("Hyperball(angle='decay') needs SGD or AdamW with weight decay, which gives the angle")
    shares = [1 / (1 + mu) if b is None else (1 - b[0]) / (1 + b[0]) for mu, b in zip(momenta, betas)]
    return [(2 * eta * decay * share) ** 0.5 for eta, decay, share in zip(rates(), decays, shares)]


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

    The learning rate is the angle of each update, in radians, whatever the optimizer, unless `angle` says otherwise. Do
    not use it on weights whose scale the network sees: their norm could never change. It copies each weight during an
    update.

    Args:
        per: 'layer' for one norm per weight, as in the paper, or 'filter'.
        angle: 'rate', the learning rate; or 'decay', the angle that learning rate, weight decay and momentum imply
            under SGD or AdamW, with u divided by a running average of its norm (Kosson et al., arXiv 2305.17212).
        decay_on: where the optimizer's weight decay acts, as in `WeightRescaling`.
        select: names or patterns of weights or layers to act on, instead of all whose scale the network cannot see.
    """

    per: Per = "layer"
    angle: Angle = "rate"
    decay_on: DecayOn = "others"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.per in ("layer", "filter"), "per", self.per, "'layer' or 'filter'")
        require(self.angle in ("rate", "decay"), "angle", self.angle, "'rate' or 'decay'")

    @property
    def state_keys(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("radius", "step") if self.angle == "decay" else ("radius",)

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        for target, norm in zip(targets, _norms(targets)):
            target.state |= (
                {"radius": norm} if self.angle == "rate" else {"radius": norm, "step": torch.zeros_like(norm)}
            )
        return []

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        for target in targets:
            target.scratch["before"] = target.weight.detach().clone()
        return []

    def after_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        moved = [target for target in targets if "before" in target.scratch]
        if not moved:  # weights were loaded, and no update was made
            return onto_sphere_(targets)
        before = [target.scratch.pop("before") for target in moved]
        return (
            turn_(moved, before, rates())
            if self.angle == "rate"
            else turn_(moved, before, implied_angles(rates), rates())
        )
