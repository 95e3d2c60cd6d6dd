"""Effective learning rates, equilibrium norms and best rates of scale invariant filters (L2 paper, Table 1).

The paper numbers no equations, so sections are named instead. Weight decay is always torch's `weight_decay`: the update
multiplies the filter by 1 - eta lambda. The paper writes its penalty as lambda ||w||^2, whose gradient would give
1 - 2 eta lambda, and computes with 1 - eta lambda; a test pins the second.

Where the columns of Table 1 contradict each other, these functions follow the derivation: with the printed norm
(eta / lambda)^(1/4), eta / ||w||^2 is (eta lambda)^(1/2), not the printed (eta / lambda)^(1/2). That is also what
Section 6 needs, where a constant effective rate means eta ~ 1 / lambda. The same holds for RMSProp and Adam, where
(eta^2 lambda)^(1/3) stands for the printed (eta^2 / lambda)^(1/3). Tests measure both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from normreg_plugins.core.errors import NormRegError


@dataclass(frozen=True)
class Law:
    """One row of Table 1."""

    norm_power: int
    """The effective rate is eta / ||w||^norm_power."""
    norm_exponent: float | None
    """At equilibrium ||w|| ~ (eta / lambda)^norm_exponent; None where the norm does not depend on the rate."""

    def effective_rate(self, eta: float, norm: float) -> float:
        return eta / norm**self.norm_power

    def equilibrium_exponents(self) -> tuple[float, float]:
        """a and b in: at equilibrium the effective rate goes with eta^a lambda^b."""
        if self.norm_exponent is None:
            return 1.0, 0.0
        power = self.norm_power * self.norm_exponent
        return 1 - power, power

    def best_rate_exponent(self) -> float:
        """c in: the best rate goes with lambda^c, because the best effective rate stays (Sections 3.1 and 5.2)."""
        eta_power, decay_power = self.equilibrium_exponents()
        return -decay_power / eta_power


LAWS = {
    "sgd": Law(2, 1 / 4),  # Section 3.1
    "momentum": Law(2, 1 / 4),  # Section 5.1, first update rule
    "nesterov": Law(2, 1 / 4),  # Section 5.1, second update rule
    "rmsprop": Law(1, 1 / 3),  # Section 5.2
    "adam": Law(1, 1 / 3),  # Section 5.3
    "adamw": Law(1, 1 / 2),  # not in the paper: decay does not pass through Adam's division
    "normalized sgd": Law(0, None),  # Section 5.5; the norm is 1
    "newton": Law(0, None),  # Section 5.4; the norm goes to 0
}


def law(optimizer: str) -> Law:
    if optimizer not in LAWS:
        raise NormRegError(f"optimizer={optimizer!r}: must be one of {', '.join(LAWS)}")
    return LAWS[optimizer]


def effective_rate(optimizer: str, eta: float, norm: float) -> float:
    """Table 1, first column: the rate at which a filter of length 1 would turn as this one does."""
    return law(optimizer).effective_rate(eta, norm)


def best_rate(optimizer: str, eta: float, decay: float, new_decay: float) -> float:
    """The best rate at `new_decay` if `eta` is the best at `decay`: ~ 1 / lambda, or ~ 1 / sqrt(lambda) under Adam."""
    return eta * (new_decay / decay) ** law(optimizer).best_rate_exponent()


def equilibrium_norm_sgd(eta: float, decay: float, gradient: float, momentum: float = 0.0) -> float:
    """Section 4: the fourth root of eta^2 g^2 / (2 eta lambda - eta^2 lambda^2), with 1 / (1 - rho) by Section 5.1.

    The paper's gamma^2 sigma^2 / 2 is g^2 here. With momentum, the paper gives the order only; the constant is exact
    for independent gradients. Nesterov's rule gives the same up to terms of the order eta lambda.

    Args:
        gradient: g, the root mean square of ||gradient|| ||w||, which does not depend on ||w||.
        momentum: rho, as in torch: the buffer is rho times the last one, plus the gradient.
    """
    shrinking = decay * (1 - momentum) * (2 - eta * decay / (1 + momentum))
    return (eta * gradient**2 / shrinking) ** (1 / 4)


def equilibrium_norm_adaptive(eta: float, decay: float, gradient: float, entries: int) -> float:
    """Section 5.2 and 5.3, for RMSProp and Adam with decay in the gradient: ~ (eta / lambda)^(1/3).

    The update then is eta sqrt(n) long, and decay is divided by the root mean square of a gradient's entry, which is
    g / (sqrt(n) ||w||). The paper gives the order; the constant holds for small eta / ||w|| and equal entries.

    Args:
        gradient: as for SGD.
        entries: n, of one filter.
    """
    return (eta * gradient * math.sqrt(entries) / (2 * decay)) ** (1 / 3)


def equilibrium_norm_adamw(eta: float, decay: float, entries: int) -> float:
    """The same with decay beside Adam's division, which the paper leaves out: (eta n / (2 lambda))^(1/2)."""
    return math.sqrt(eta * entries / (2 * decay))
