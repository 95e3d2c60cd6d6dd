"""Constrained projected gradient descent (PGD): centred filters on a sphere. Constrained paper, Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from normreg_plugins.core.methods.base import DecayOn, Method, Rates
from normreg_plugins.core.methods.target import Scaled, Target, scale_
from normreg_plugins.core.model import elementwise, filters_of, safe_factors
from normreg_plugins.core.options import is_positive, require
from normreg_plugins.core.verdicts import WeightReport


@torch.no_grad()
def center_gradients_(targets: Sequence[Target]) -> None:
    """g <- g - (1^T g) 1 / n for each filter (Algorithm 1, line 4)."""
    for target in targets:
        if target.weight.grad is not None:
            target.parts.center_(target.weight.grad)


@torch.no_grad()
def center_weights_(targets: Sequence[Target]) -> None:
    """1^T w = 0 for each filter (eq. 2).

    Algorithm 1 relies on centred updates to keep the mean at zero. An adaptive optimizer scales each entry of an update
    differently, which breaks that. So the weight itself is centred, before it is projected to the sphere.
    """
    for target in targets:
        target.parts.center_(target.weight)


@torch.no_grad()
def project_to_sphere_(targets: Sequence[Target], c: float) -> list[Scaled]:
    """w <- sqrt(c) w / ||w|| for each filter (eq. 11)."""
    norms = [target.norms() for target in targets]
    return scale_(targets, norms, elementwise(safe_factors, [math.sqrt(c)] * len(norms), norms))  # sqrt(c) / ||w||


@dataclass(frozen=True, repr=False)
class SphereDescent(Method):
    """Constrained projected gradient descent: filters stay centred and on a sphere (constrained paper, Algorithm 1).

    Made for networks with scale-bias layers instead of norm layers. Do not use it on the weights of a network that
    has neither: nothing there can make up for filters that never change their norm or mean.

    Args:
        c: the squared filter norm; 2 in the paper, which keeps the variance through a ReLU (eq. 3-4).
        center, sphere: the two constraints; one of them is off only in the paper's ablation (Table 3).
        decay_on: where the optimizer's weight decay acts, as in `WeightRescaling`. The paper keeps it on the weights,
            where it only changes the learning rate (eq. 12).
        select: names or patterns of weights or layers to act on, instead of those that feed a scale-bias layer.
    """

    c: float = 2.0
    center: bool = True
    sphere: bool = True
    decay_on: DecayOn = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_positive(self.c), "c", self.c, "a finite number above 0")

    @property
    def filter_norm(self) -> float | None:
        return math.sqrt(self.c) if self.sphere else None

    @property
    def keeps_directions(self) -> bool:
        return not self.center

    def takes(self, reports: Sequence[WeightReport]) -> list[WeightReport]:
        """The weights that feed a scale-bias layer; without any, every weight whose scale is invisible."""
        return [f for f in reports if f.feeds_scale_bias] or super().takes(reports)

    def objection(self, report: WeightReport) -> str:
        if self.center and filters_of(report.layer.module).fan_in == 1:
            return "a filter of one entry, which centring would make zero"
        return ""

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        return self._project(targets)

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        if self.center:
            center_gradients_(targets)
        return []

    def after_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        return self._project(targets)

    def _project(self, targets: Sequence[Target]) -> list[Scaled]:
        if self.center:
            center_weights_(targets)
        return project_to_sphere_(targets, self.c) if self.sphere else []
