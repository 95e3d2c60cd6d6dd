"""Adaptive Weight Shrink (AWS): before each step w <- (1 - eta alpha m(w)) w. AWS paper, eq. 20-21."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from normreg_plugins.core.methods.base import DecayOn, Method, Rates, TimeUnit
from normreg_plugins.core.methods.scaling import Scaled, Target, batches, scale_
from normreg_plugins.core.options import is_number, require
from normreg_plugins.core.verdicts import Finding

Measure = Literal["auto", "norm", "std"]


@torch.no_grad()
def shrink_(targets: Sequence[Target], rates: Sequence[float | Tensor], alpha: float, measure: Measure) -> list[Scaled]:
    """w <- (1 - eta alpha m) w before the gradient step, where m = ||w|| or std(w) (eq. 20-21).

    The factor never goes below 0, because a shrink must not reverse a filter.

    Args:
        rates: the learning rate eta of each target.
    """
    eta = dict(zip(targets, rates))

    def scaled(target: Target) -> Scaled:
        size = _size(target, measure)
        factor = (1 - eta[target] * alpha * size.nan_to_num(0, 0, 0)).clamp_min_(0)  # eq. 20 and 21
        return Scaled(target, size, factor)

    return scale_(scaled(target) for batch in batches(targets) for target in batch)


def _size(target: Target, measure: Measure) -> Tensor:
    """std(w) for a weight-standardized layer (below eq. 21), else ||w||."""
    by = target.finding.weight_normalization or "norm" if measure == "auto" else measure
    return target.parts.stds(target.weight) if by == "std" else target.parts.norms(target.weight)


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
        select: names or patterns of weights or layers to act on, in place of the layers that normalize their weight.
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

    def takes(self, findings: Sequence[Finding]) -> list[Finding]:
        """The layers that normalize each filter themselves; without any, every weight whose scale is invisible."""
        return [f for f in findings if f.weight_normalization in ("norm", "std")] or super().takes(findings)

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        return shrink_(targets, rates(), self.alpha, self.measure)
