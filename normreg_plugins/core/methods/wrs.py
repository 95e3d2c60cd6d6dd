"""Weight ReScaling (WRS): every tau updates each filter gets the norm r. Liu et al., WRS paper, Algorithm 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from normreg_plugins.core.methods.base import Method, TimeUnit
from normreg_plugins.core.methods.options import check_names, is_count, is_positive, require
from normreg_plugins.core.methods.scaling import Scaled, Target, batches, norms_of, scale_, to_radius
from normreg_plugins.core.model import Per, filters_of
from normreg_plugins.core.verdicts import Finding


@torch.no_grad()
def rescale_(targets: Sequence[Target], radius: float = 1.0) -> list[Scaled]:
    """w <- r w / ||w|| for each filter (Algorithm 1, lines 13 and 16; r = 1 in the paper)."""

    def scaled(batch: Sequence[Target]) -> list[Scaled]:
        norms = norms_of(batch)
        return list(map(Scaled, batch, norms, to_radius(norms, radius)))

    return scale_(each for batch in batches(targets) for each in scaled(batch))


@dataclass(frozen=True, repr=False)
class WeightRescaling(Method):
    """Weight ReScaling: every `interval` updates each filter gets the norm `radius` (WRS paper, Algorithm 1).

    Do not use it on weights whose scale the network sees, except the classifier, which `output_layers` names.

    Args:
        interval: tau, in parameter updates. The paper uses 10 to 50 for classification, 10 for DeepLabv3, 1 for CSRNet
            and names none for YOLOv3.
        radius: r; 1 in the paper.
        per: 'filter', or 'position' for WRS(IC): each kernel position over the input channels gets the norm `radius`.
            That changes directions, and so the function (Section VI-A, Table II).
        output_layers: names or patterns of layers to rescale although no norm layer follows (Algorithm 1, lines 15-17).
        begin, end: the phase in which it acts, in `unit`s since the first update; `end=None` means for ever.
        unit: 'update' or 'epoch'.
        at_start: also before the first forward. The paper begins at update tau.
        keep_weight_decay: leave the weight decay of the rescaled weights on. The paper takes it off.
        select: names or patterns of weights or layers to act on, in place of all whose scale the network cannot see.
    """

    interval: int = 10
    radius: float = 1.0
    per: Per = "filter"
    output_layers: tuple[str, ...] = ()
    begin: int = 0
    end: int | None = None
    unit: TimeUnit = "update"
    at_start: bool = False
    keep_weight_decay: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "output_layers", check_names("output_layers", self.output_layers))
        require(is_count(self.interval, 1), "interval", self.interval, "a whole number of updates, 1 or more")
        require(is_positive(self.radius), "radius", self.radius, "a finite number above 0")
        require(self.per in ("filter", "position"), "per", self.per, "'filter' or 'position'")

    def objection(self, finding: Finding) -> str:
        if self.per == "position" and filters_of(finding.layer.module, "position").fan_in == 1:
            return "a filter with one input channel, of which WRS(IC) would make every entry +1 or -1"
        return ""

    def start(self, targets: Sequence[Target]) -> list[Scaled]:
        return rescale_(targets, self.radius) if self.at_start else []

    def after_update(self, targets: Sequence[Target]) -> list[Scaled]:
        return rescale_(targets, self.radius)
