"""What giving all filters one norm does to the effective learning rate. Moves to monitor/rate_at_start.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from normreg_plugins.core.errors import NormRegError


@dataclass(frozen=True)
class RateSwitch:
    """What giving all filters one norm does to the effective rate."""

    filter_norm: float
    """The median over filters that are not zero."""
    radius: float
    norm_power: int
    factor: float
    """On the effective rate of a filter of the median norm."""
    least_factor: float
    """On that of the shortest filter, which slows down most."""
    greatest_factor: float

    def __str__(self) -> str:
        return (
            f"your filters are {self.filter_norm:.2g} long: WRS with radius {self.radius:g} multiplies the effective "
            f"rate by {self.factor:.2g} (by {self.least_factor:.2g} to {self.greatest_factor:.2g}, filter by filter)"
        )


def switch_of_rate(filter_norms: Sequence[float], radius: float = 1.0, norm_power: int = 2) -> RateSwitch:
    """How the effective rate changes when filters of these norms are given the norm `radius`.

    Args:
        norm_power: 2 for SGD, 1 for adaptive optimizers.
    """
    lengths = sorted(norm for norm in filter_norms if 0 < norm < math.inf)
    if not lengths:
        raise NormRegError("filter_norms: there is no filter with a finite norm above 0")
    if not 0 < radius < math.inf:
        raise NormRegError(f"radius={radius!r}: must be a finite number above 0")
    middle = median(lengths)
    least, factor, greatest = ((norm / radius) ** norm_power for norm in (lengths[0], middle, lengths[-1]))
    return RateSwitch(middle, radius, norm_power, factor, least, greatest)
