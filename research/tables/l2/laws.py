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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normreg_plugins.core.errors import NormRegError


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

Losses = Mapping[tuple[float, float], Sequence[float]]
"""By rate and weight decay: the final loss of each seed."""


@dataclass(frozen=True)
class BestRates:
    decays: tuple[float, ...]
    rates: tuple[float, ...]
    """For each weight decay the rate of the least mean loss, between the grid's rates."""
    exponent: float
    """c in: the best rate goes with lambda^c."""
    error: float
    """The standard error of the exponent over seeds (bootstrap)."""


def measure_best_rates(losses: Losses, resamples: int = 200, seed: int = 0) -> BestRates:
    """Fit the best rate's power of the weight decay (L2 paper, Section 6, Fig. 4).

    For each weight decay, a parabola through the least loss and its two neighbours gives the best rate. It is fitted
    over the logarithm of the rate. A least-squares line through the logarithms gives the exponent.
    """
    rates, decays, table = _as_table(losses)
    best = _best(rates, table.mean(2))
    random = np.random.default_rng(seed)
    picks = random.integers(table.shape[2], size=(resamples, table.shape[2]))
    exponents = [_slope(decays, _best(rates, table[:, :, pick].mean(2))) for pick in picks]
    return BestRates(tuple(decays), tuple(best), _slope(decays, best), float(np.std(exponents, ddof=1)))


def _as_table(losses: Losses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates, decays, and by both the losses of the seeds. The grid must be complete."""
    rates, decays = (np.array(sorted({key[axis] for key in losses})) for axis in (0, 1))
    table = np.array([[losses[rate, decay] for decay in decays] for rate in rates], dtype=float)
    return rates, decays, np.where(np.isfinite(table), table, np.inf)


def _best(rates: np.ndarray, means: np.ndarray) -> np.ndarray:
    return np.array([_lowest(np.log(rates), column) for column in means.T])


def _lowest(x: np.ndarray, y: np.ndarray) -> float:
    least = int(np.argmin(y))
    if least in (0, len(y) - 1):
        raise NormRegError(f"the best rate is at the end of the grid ({np.exp(x[least]):g}): try rates beyond it")
    near = slice(least - 1, least + 2)
    if not np.isfinite(y[near]).all():
        return float(np.exp(x[least]))
    square, linear, _ = np.polyfit(x[near] - x[least], y[near], 2)
    return float(np.exp(x[least] - linear / (2 * square))) if square > 0 else float(np.exp(x[least]))


def _slope(decays: np.ndarray, best: np.ndarray) -> float:
    return float(np.polyfit(np.log(decays), np.log(best), 1)[0])
