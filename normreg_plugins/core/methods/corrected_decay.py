"""Corrected weight decay (AdamC, SGDC): before each step w <- (1 - eta^2 lambda / eta_max) w. arXiv 2506.02285."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods.base import DecayOn, Method, Rates
from normreg_plugins.core.methods.target import Scaled, Target
from normreg_plugins.core.options import is_number, is_positive, require

SMALLEST = torch.finfo(torch.float32).tiny
"""Stands for a greatest rate of 0."""


@torch.no_grad()
def decay_(targets: Sequence[Target], rates: Sequence[Any], decays: Sequence[Any], peaks: Sequence[Any]) -> None:
    """w <- (1 - eta^2 lambda / eta_max) w."""
    for target, eta, decay, peak in zip(targets, rates, decays, peaks):
        target.weight.mul_(1 - eta**2 * decay / peak)


def _of_optimizer(rates: Rates) -> list[Any]:
    """The optimizer's own weight decay, per update and unit of the learning rate."""
    if not any(rates("weight_decay")):
        raise NormRegError("CorrectedDecay: the optimizer has no weight decay on its weights; pass weight_decay=")
    return [(decay or 0.0) / (1 - (mu or 0.0)) for decay, mu in zip(rates("weight_decay"), rates("momentum"))]


@dataclass(frozen=True, repr=False)
class CorrectedDecay(Method):
    """Corrected weight decay: before each step, w <- (1 - eta^2 lambda / eta_max) w (AdamC, SGDC; arXiv 2506.02285).

    In front of a norm layer plain decay holds ||g|| / ||w|| at sqrt(2 lambda / eta), which grows as the schedule lowers
    eta. This one holds it at sqrt(2 lambda / eta_max). As with the optimizer's own decay, running statistics follow by
    their own average.

    Args:
        weight_decay: lambda; None for the optimizer's own weight decay of these weights, which it then replaces. SGD
            sends its own through the momentum mu, so then lambda is that over 1 - mu.
        eta_max: the greatest learning rate. None for what the parameter group says: `max_lr`, else `initial_lr`, which
            schedulers write, else the greatest rate so far.
        decay_on: where the optimizer's weight decay acts, as in `WeightRescaling`.
        select: names or patterns of weights or layers to act on, instead of all whose scale the network cannot see.
    """

    weight_decay: float | None = None
    eta_max: float | None = None
    decay_on: DecayOn = "others"

    state_keys = ("eta_max",)

    def __post_init__(self) -> None:
        super().__post_init__()
        usable = self.weight_decay is None or (is_number(self.weight_decay) and self.weight_decay >= 0)
        require(usable, "weight_decay", self.weight_decay, "a finite number, 0 or more, or None")
        decays_twice = self.weight_decay is None and self.decay_on in ("all", "kernels_and_gammas")
        require(
            not decays_twice, "decay_on", self.decay_on, "'others' or 'norm_layers': it is the optimizer's own decay"
        )
        require(self.eta_max is None or is_positive(self.eta_max), "eta_max", self.eta_max, "a number above 0, or None")

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        for target in targets:
            target.state["eta_max"] = torch.full((), SMALLEST, device="cpu")
        return []

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        decays = _of_optimizer(rates) if self.weight_decay is None else [self.weight_decay] * len(targets)
        known = zip(targets, rates(), rates("max_lr"), rates("initial_lr"))
        decay_(targets, rates(), decays, [self._peak(*each) for each in known])
        return []

    def _peak(self, target: Target, eta: Any, *written: Any) -> Any:
        """eta_max, as the method, a scheduler or the greatest rate so far gives it."""
        known = next((peak for peak in (self.eta_max, *written) if peak is not None), None)
        if known is None:  # kept where the rate is: one launch less per weight, and no wait for a GPU
            seen = target.state["eta_max"].to(eta.device if isinstance(eta, Tensor) else "cpu")
            target.state["eta_max"] = seen.clamp_min(eta)
            known = target.state["eta_max"].double()
        return known.clamp_min(SMALLEST) if isinstance(known, Tensor) else max(known, SMALLEST)
