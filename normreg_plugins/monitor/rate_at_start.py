"""What a method does when it first acts: to the effective learning rate, and to the function of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from normreg_plugins.core import Handle
from normreg_plugins.monitor.optimizer_direction import rate_law

TOLERANCE = 1e-4
"""A relative change of a filter that is rounding."""


@dataclass(frozen=True)
class RateAtStart:
    """How the effective rate eta / ||w||^p changes when all filters are given one norm."""

    filter_norm: float
    """The median over filters that are not zero."""
    radius: float
    """The norm that the method gives them."""
    factor: float
    """On the effective rate of a filter of the median norm."""
    factors: tuple[float, float]
    """On that of the shortest filter, which slows down most, and of the longest."""
    rate: float
    """The learning rate of the optimizer: the highest of its groups, before any warm-up."""

    def __str__(self) -> str:
        least, greatest = self.factors
        return (
            f"Median filter norm {self.filter_norm:.2g} -> {self.radius:.3g}: effective learning rate "
            f"x{self.factor:.2g} (x{least:.2g} to x{greatest:.2g} per filter). "
            f"Use lr={self.rate / self.factor:.2g} instead of {self.rate:.2g} to keep it."
        )


def rate_at_start(handle: Handle) -> RateAtStart | None:
    """What the method of `handle` does to the effective rate of a new run; None if there is nothing to say.

    That is so if the factor is 1 to two digits, after updates were made, and if there is no such number: the method
    gives filters no common norm, or the optimizer is neither SGD nor adaptive.
    """
    radius, law = handle.method.filter_norm, rate_law(handle.optimizer)
    norms = [norm for each in handle.norms_at_start.values() for norm in each.tolist() if 0 < norm < math.inf]
    if radius is None or law is None or not norms or handle.updates:
        return None
    power = 2 if law == "eta_over_squared_norm" else 1
    least, factor, greatest = ((norm / radius) ** power for norm in (min(norms), median(norms), max(norms)))
    if f"{factor:.2g}" == "1":
        return None
    rate = max(float(group.get("initial_lr", group["lr"])) for group in handle.optimizer.param_groups)
    return RateAtStart(median(norms), radius, factor, (least, greatest), rate)


def change_at_start(handle: Handle) -> str:
    """A sentence on how far the method's first action changes the function of the network; '' if it keeps it.

    It is measured on the filters when training begins. After updates were made there is nothing to say.
    """
    changes = [change for each in handle.changes_at_start.values() for change in each.tolist()]
    if handle.updates or not changes or max(changes) < TOLERANCE:
        return ""
    return (
        f"{handle.method!r} changes what the network computes: its first action moves each filter by "
        f"{median(changes):.0%} of its norm (median; at most {max(changes):.0%})."
    )
