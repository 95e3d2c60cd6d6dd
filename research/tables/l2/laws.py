"""Effective learning rates, equilibrium norms and best rates of scale-invariant filters (L2 paper, Table 1).

The paper numbers no equations, so sections are named instead. Weight decay is always torch's `weight_decay`: the update
multiplies the filter by 1 - eta lambda. The paper writes its penalty as lambda ||w||^2, whose gradient would give
1 - 2 eta lambda, and computes with 1 - eta lambda; a test pins the second.

Where the columns of Table 1 contradict each other, the laws follow the derivation: with the printed norm
(eta / lambda)^(1/4), eta / ||w||^2 is (eta lambda)^(1/2), not the printed (eta / lambda)^(1/2). That is also what
Section 6 needs, where a constant effective rate means eta ~ 1 / lambda. The same is true of RMSProp and Adam, where
(eta^2 lambda)^(1/3) replaces the printed (eta^2 / lambda)^(1/3). Tests measure both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Law:
    """One row of Table 1."""

    norm_power: int
    """The effective rate is eta / ||w||^norm_power."""
    norm_exponent: float
    """At equilibrium ||w|| ~ (eta / lambda)^norm_exponent."""

    def equilibrium_exponents(self) -> tuple[float, float]:
        """a and b in: at equilibrium the effective rate goes with eta^a lambda^b."""
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
    "adamw": Law(1, 1 / 2),  # not in the paper: decay is not divided by Adam's second moment
}
