"""Adaptive Weight Shrink (AWS): before each step w <- (1 - eta alpha m(w)) w. AWS paper, eq. 20-21."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from normreg_plugins.core.methods.base import DecayOn, Method, Rates, TimeUnit
from normreg_plugins.core.methods.target import Scaled, Target, scale_
from normreg_plugins.core.model import elementwise
from normreg_plugins.core.options import is_number, require
from normreg_plugins.core.verdicts import WeightReport

Measure = Literal["auto", "norm", "std"]


@torch.no_grad()
def shrink_(targets: Sequence[Target], rates: Sequence[float | Tensor], alpha: float, measure: Measure) -> list[Scaled]:
    """w <- (1 - eta alpha m) w before the gradient step, where m = ||w|| or std(w) (eq. 20-21).

    Args:
        rates: the learning rate eta of each target.
    """

    def factor(eta: float | Tensor, m: Tensor) -> Tensor:
        """At least 0, because a shrink must not reverse a filter; 1 where m is NaN or Inf."""
        return (1 - eta * alpha * m.nan_to_num(0, 0, 0)).clamp_min_(0)  # eq. 20 and 21

    sizes = [target.stds() if _by_std(target, measure) else target.norms() for target in targets]
    return scale_(targets, sizes, elementwise(factor, rates, sizes))


def _by_std(target: Target, measure: Measure) -> bool:
    """std(w) measures a weight-standardized layer (below eq. 21), ||w|| any other."""
    return (target.report.weight_normalization if measure == "auto" else measure) == "std"


@dataclass(frozen=True, repr=False)
class AdaptiveWeightShrink(Method):
    """Adaptive Weight Shrink: before each step, w <- (1 - eta alpha m(w)) w (AWS paper, eq. 20-21).

    Made for layers that normalize their own weight (WN, CWN, WS). Do not use it on weights whose scale the network
    sees: there it pulls them towards zero, as the penalty (alpha / 3) ||w||^3 does.

    Args:
        alpha: the strength. The paper's Table 2 spans 1e-5 to 1e-1; 2.5e-3 is what it settles on for WS.
        measure: m, 'norm' for weight-normalized layers, 'std' for weight-standardized ones; 'auto' asks each layer.
        begin, end, unit: the phase, as in `WeightRescaling`.
        decay_on: where the optimizer's weight decay acts, as in `WeightRescaling`; the shrink replaces it.
        select: names or patterns of weights or layers to act on, instead of the layers that normalize their weight.
    """

    alpha: float = 2.5e-3
    measure: Measure = "auto"
    begin: int = 0
    end: int | None = None
    unit: TimeUnit = "update"
    decay_on: DecayOn = "others"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_number(self.alpha) and self.alpha >= 0, "alpha", self.alpha, "a finite number, 0 or more")
        require(self.measure in ("auto", "norm", "std"), "measure", self.measure, "'auto', 'norm' or 'std'")

    def takes(self, reports: Sequence[WeightReport]) -> list[WeightReport]:
        """The layers that normalize each filter themselves; without any, every weight whose scale is invisible."""
        return [f for f in reports if f.weight_normalization in ("norm", "std")] or super().takes(reports)

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        return shrink_(targets, rates(), self.alpha, self.measure)
