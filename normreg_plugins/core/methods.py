"""The three methods as settings, and what each does at the start, before and after an update.

A method never counts updates and never looks for weights; `attach` does both and calls it at the right moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from normreg_plugins.core.filters import Unit, filters_of
from normreg_plugins.core.options import check_phase, is_count, is_number, is_positive, names, require
from normreg_plugins.core.rules import center_gradients_, project_to_sphere_, rescale_to_norm_, shrink_
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.targets import Rescaled, Target
from normreg_plugins.core.verdict import Kind

Rates = Callable[[], Sequence["float | Tensor"]]
"""Gives the learning rate of each target."""


@dataclass(frozen=True)
class Method:
    """What `attach` needs to know of any method. Each hook returns what it rescaled."""

    @property
    def interval(self) -> int:
        """It acts after every so many updates."""
        return 1

    @property
    def phase(self) -> tuple[int, float, str]:
        """From when to when it acts, and in which unit."""
        return 0, math.inf, "update"

    @property
    def measured(self) -> Unit:
        """The unit that is measured: one filter, unless the method says otherwise."""
        return "filter"

    @property
    def named_outputs(self) -> tuple[str, ...]:
        """Weights to take although no norm follows them."""
        return ()

    @property
    def transports_state(self) -> bool:
        return False

    @property
    def drops_weight_decay(self) -> bool:
        """Whether the weight decay of its targets is set to 0."""
        return False

    @property
    def starts(self) -> bool:
        """Whether `start` does anything."""
        return False

    def default_claims(self, claims: Sequence[Claim]) -> list[Claim]:
        """What it takes when nothing is named: every weight whose scale the network cannot see."""
        return [c for c in claims if c.kind in (Kind.INVARIANT, Kind.COMPENSATED)]

    def objection(self, claim: Claim) -> str:
        """Why it cannot act on a weight it was given; '' if it can."""
        return ""

    def start(self, targets: Sequence[Target]) -> list[Rescaled]:
        """Before the first forward."""
        return []

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Rescaled]:
        """When the gradients are complete."""
        return []

    def after_update(self, targets: Sequence[Target]) -> list[Rescaled]:
        return []


@dataclass(frozen=True)
class WeightRescaling(Method):
    """Weight ReScaling: every `interval` updates each filter gets the norm `radius` (WRS paper, Algorithm 1).

    Do not use it on weights whose scale the network sees, except the classifier, which `output_layers` names.

    Args:
        interval: tau, in parameter updates. The paper uses 10 to 50 for classification, 10 for DeepLabv3, 1 for CSRNet
            and names none for YOLOv3.
        radius: r; 1 in the paper.
        per: 'filter', or 'position' for WRS(IC), which scales the input channels at each kernel position and therefore
            changes the function (Section VI-A, Table II).
        output_layers: names or patterns of layers to rescale although no norm follows them (Algorithm 1, lines 15-17).
        begin, end: the phase in which it acts, in `unit`s since the first update; `end=None` means for ever.
        unit: 'update' or 'epoch'.
        at_start: also before the first forward. The paper begins at update tau.
        transport_state: scale momentum by 1/a and second moments by 1/a^2 when a weight is scaled by a, as gradients
            scale. The paper leaves them.
        keep_weight_decay: leave the targets' weight decay on. The paper takes it off and leaves that of the norms.
    """

    interval: int = 10
    radius: float = 1.0
    per: Literal["filter", "position"] = "filter"
    output_layers: tuple[str, ...] = ()
    begin: int = 0
    end: int | None = None
    unit: Literal["update", "epoch"] = "update"
    at_start: bool = False
    transport_state: bool = False
    keep_weight_decay: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "output_layers", names("output_layers", self.output_layers))
        require(is_count(self.interval, 1), "interval", self.interval, "a whole number of updates, 1 or more")
        require(is_positive(self.radius), "radius", self.radius, "a finite number above 0")
        require(self.per in ("filter", "position"), "per", self.per, "'filter' or 'position'")
        check_phase(self.begin, self.end, self.unit)

    @property
    def phase(self) -> tuple[int, float, str]:
        return self.begin, math.inf if self.end is None else self.end, self.unit

    @property
    def measured(self) -> Unit:
        return self.per

    @property
    def named_outputs(self) -> tuple[str, ...]:
        return self.output_layers

    @property
    def transports_state(self) -> bool:
        return self.transport_state

    @property
    def drops_weight_decay(self) -> bool:
        return not self.keep_weight_decay

    @property
    def starts(self) -> bool:
        return self.at_start

    def start(self, targets: Sequence[Target]) -> list[Rescaled]:
        return rescale_to_norm_(targets, self.radius) if self.at_start else []

    def after_update(self, targets: Sequence[Target]) -> list[Rescaled]:
        return rescale_to_norm_(targets, self.radius)


@dataclass(frozen=True)
class AdaptiveWeightShrink(Method):
    """Adaptive Weight Shrink: before each step, w <- (1 - eta alpha m(w)) w (AWS paper, eq. 20-21).

    Made for layers that normalize their own weight (WN, CWN, WS). Do not use it on weights whose scale the network
    sees: there it is a regularizer towards zero, the gradient of (alpha / 3) ||w||^3.

    Args:
        alpha: the strength. The paper's Table 2 spans 1e-5 to 1e-1; 2.5e-3 is what it settles on for WS.
        measure: m, 'norm' for weight-normalized layers, 'std' for weight-standardized ones; 'auto' asks each layer.
        begin, end, unit: the phase, as in `WeightRescaling`.
        keep_weight_decay: leave the targets' weight decay on. The paper replaces it.
    """

    alpha: float = 2.5e-3
    measure: Literal["auto", "norm", "std"] = "auto"
    begin: int = 0
    end: int | None = None
    unit: Literal["update", "epoch"] = "update"
    keep_weight_decay: bool = False

    def __post_init__(self) -> None:
        require(is_number(self.alpha) and self.alpha >= 0, "alpha", self.alpha, "a finite number, 0 or more")
        require(self.measure in ("auto", "norm", "std"), "measure", self.measure, "'auto', 'norm' or 'std'")
        check_phase(self.begin, self.end, self.unit)

    @property
    def phase(self) -> tuple[int, float, str]:
        return self.begin, math.inf if self.end is None else self.end, self.unit

    @property
    def drops_weight_decay(self) -> bool:
        return not self.keep_weight_decay

    def default_claims(self, claims: Sequence[Claim]) -> list[Claim]:
        normalized = [c for c in claims if c.rule in ("norm", "std")]
        return normalized or super().default_claims(claims)

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Rescaled]:
        return shrink_(targets, rates(), self.alpha, self.measure)


@dataclass(frozen=True)
class SphereDescent(Method):
    """Constrained projected gradient descent: filters stay centred and on a sphere (constrained paper, Algorithm 1).

    Made for networks with scale-bias layers where norms stood. Do not use it on the weights of a network that has
    neither: the filters could then never change their length or mean, which the network would miss.

    Args:
        c: the squared norm of each filter; 2 in the paper, which keeps the variance through a ReLU (eq. 3-4).
        center: the zero-mean constraint; off only for the paper's ablation (Table 3).
        keep_weight_decay: the paper keeps weight decay on the weights, where it only changes the learning rate
            (eq. 12).
    """

    c: float = 2.0
    center: bool = True
    keep_weight_decay: bool = True

    def __post_init__(self) -> None:
        require(is_positive(self.c), "c", self.c, "a finite number above 0")

    @property
    def drops_weight_decay(self) -> bool:
        return not self.keep_weight_decay

    def default_claims(self, claims: Sequence[Claim]) -> list[Claim]:
        scale_biased = [c for c in claims if c.feeds_scale_bias]
        return scale_biased or super().default_claims(claims)

    def objection(self, claim: Claim) -> str:
        if self.center and filters_of(claim.layer.module).fan_in == 1:
            return "a filter of one entry, which centring would make zero"
        return ""

    @property
    def starts(self) -> bool:
        return True

    def start(self, targets: Sequence[Target]) -> list[Rescaled]:
        return project_to_sphere_(targets, self.c, self.center)

    def before_update(self, targets: Sequence[Target], rates: Rates) -> list[Rescaled]:
        if self.center:
            center_gradients_(targets)
        return []

    def after_update(self, targets: Sequence[Target]) -> list[Rescaled]:
        return project_to_sphere_(targets, self.c, self.center)
