"""Adaptive Weight Shrink (AWS): before each step w <- (1 - eta alpha m(w)) w. AWS paper, eq. 20-21."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from normreg_plugins.core.methods.base import DecayOn, Method, Rates, TimeUnit
from normreg_plugins.core.methods.scaling import Scaled, Target, in_one_launch, scale_
from normreg_plugins.core.model import batches
from normreg_plugins.core.options import is_number, require
from normreg_plugins.core.verdicts import WeightReport

Measure = Literal["auto", "norm", "std"]


@torch.no_grad()
def shrink_(targets: Sequence[Target], rates: Sequence[float | Tensor], alpha: float, measure: Measure) -> list[Scaled]:
    """w <- (1 - eta alpha m) w before the gradient step, where m = ||w|| or std(w) (eq. 20-21).

    The factor never goes below 0, because a shrink must not reverse a filter.

    Args:
        rates: the learning rate eta of each target.
    """
    eta = {target.name: rate for target, rate in zip(targets, rates)}

    def scaled(target: Target) -> Scaled:
        size = target.parts.stds(target.values) if _by_std(target, measure) else target.parts.norms(target.values)
        factor = (1 - eta[target.name] * alpha * size.nan_to_num(0, 0, 0)).clamp_min_(0)  # eq. 20 and 21
        return Scaled(target, size, factor)

    def all_scaled(batch: Sequence[Target]) -> Iterator[Scaled]:
        if not batch[0].in_one_launch:
            yield from map(scaled, batch)
            return
        for std in {_by_std(target, measure) for target in batch}:
            alike = [target for target in batch if _by_std(target, measure) is std]
            yield from in_one_launch(alike, [eta[t.name] * alpha for t in alike], std=std, shrink=True)

    return scale_(each for batch in batches(targets) for each in all_scaled(batch))


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

    def takes(self, reports: Sequence[WeightReport]) -> list[WeightReport]:
        """The layers that normalize each filter themselves; without any, every weight whose scale is invisible."""
        return [f for f in reports if f.weight_normalization in ("norm", "std")] or super().takes(reports)

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        return shrink_(targets, rates(), self.alpha, self.measure)
