"""Weight ReScaling (WRS): every tau updates w <- r w / ||w|| for each filter. Liu et al., WRS paper, Algorithm 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from normreg_plugins.core.methods.base import DecayOn, Method, Rates, TimeUnit
from normreg_plugins.core.methods.target import Scaled, Target, scale_
from normreg_plugins.core.model import Per, elementwise, filters_of, safe_factors
from normreg_plugins.core.options import check_names, is_count, is_positive, require
from normreg_plugins.core.verdicts import WeightReport

Radius = float | Literal["initial"]


@torch.no_grad()
def rescale_(targets: Sequence[Target], radius: Radius) -> list[Scaled]:
    """w <- r w / ||w|| for each filter (Algorithm 1, lines 13 and 16; r = 1 in the paper)."""
    norms = [target.norms() for target in targets]
    radii = [target.state["radius"] if radius == "initial" else float(radius) for target in targets]
    return scale_(targets, norms, elementwise(safe_factors, radii, norms))  # r / ||w||


@dataclass(frozen=True, repr=False)
class WeightRescaling(Method):
    """Weight ReScaling: every `interval` updates each filter gets the norm `radius` (WRS paper, Algorithm 1).

    Do not use it on weights whose scale the network sees, except the classifier, which `output_layers` names.

    Args:
        interval: tau, in parameter updates. The paper uses 10 to 50 for classification, 10 for DeepLabv3, 1 for CSRNet
            and names none for YOLOv3.
        radius: r; 1 in the paper. 'initial' restores the norm that each filter has when training begins, so that a
            learning rate that was tuned with weight decay carries over.
        per: 'filter', or 'position' for WRS(IC): each kernel position over the input channels gets the norm `radius`.
            That changes directions, and so the function (Section VI-B, Table II).
        output_layers: names or patterns of layers to rescale although no norm layer follows (Algorithm 1, lines 15-17).
        begin, end: the phase in which it acts, in `unit`s since the first update; `end=None` means to the end.
        unit: 'update' or 'epoch'.
        at_start: also before the first forward. The paper begins at update tau.
        decay_on: where the optimizer's weight decay acts: 'norm_layers' only, as in Algorithm 1 (line 7); 'others', all
            but the rescaled weights, which changes less of a training of yours; 'all'; 'kernels_and_gammas'.
        decoupled: decay beside the step, as in line 7 and in AdamW, also under SGD and Adam.
        select: names or patterns of weights or layers to act on, instead of all whose scale the network cannot see.
    """

    interval: int = 10
    radius: Radius = 1.0
    per: Per = "filter"
    output_layers: tuple[str, ...] = ()
    begin: int = 0
    end: int | None = None
    unit: TimeUnit = "update"
    at_start: bool = False
    decay_on: DecayOn = "norm_layers"
    decoupled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "output_layers", check_names("output_layers", self.output_layers))
        require(is_count(self.interval, 1), "interval", self.interval, "a whole number of updates, 1 or more")
        usable = self.radius == "initial" or is_positive(self.radius)
        require(usable, "radius", self.radius, "a finite number above 0, or 'initial'")
        require(self.per in ("filter", "position"), "per", self.per, "'filter' or 'position'")

    @property
    def state_keys(self) -> tuple[str, ...]:
        return ("radius",) if self.radius == "initial" else ()

    @property
    def filter_norm(self) -> float | None:
        return None if self.radius == "initial" or self.per == "position" else float(self.radius)

    @property
    def keeps_directions(self) -> bool:
        return self.per != "position"

    def objection(self, report: WeightReport) -> str:
        if self.per == "position" and filters_of(report.layer.module, "position").fan_in == 1:
            return "a filter with one input channel, of which WRS(IC) would make every entry +1 or -1"
        return ""

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        if self.radius == "initial":
            for target in targets:
                target.state["radius"] = target.norms().detach()
            return []
        return rescale_(targets, self.radius) if self.at_start else []

    def after_update(self, targets: Sequence[Target], rates: Rates) -> list[Scaled]:
        return rescale_(targets, self.radius)
