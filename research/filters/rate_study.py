"""Measure how the best learning rate goes with weight decay (L2 paper, Section 6, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normreg_plugins.core.errors import NormRegError

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
    """Fit the best rate's power of the weight decay.

    For each weight decay, a parabola through the least loss and its two neighbours gives the best rate. It is fitted
    over the logarithm of the rate. A least-squares line through the logarithms gives the exponent.
    """
    rates, decays, table = _as_table(losses)
    best = _best(rates, table.mean(2))
    random = np.random.default_rng(seed)
    picks = random.integers(table.shape[2], size=(resamples, table.shape[2]))
    exponents = [_slope(decays, _best(rates, table[:, :, pick].mean(2))) for pick in picks]
    return BestRates(
        tuple(decays.tolist()), tuple(best.tolist()), _slope(decays, best), float(np.std(exponents, ddof=1))
    )


def _as_table(losses: Losses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rates, decays = (np.array(sorted({key[axis] for key in losses})) for axis in (0, 1))
    if len(rates) < 3 or len(decays) < 2:
        raise NormRegError(f"{len(rates)} rates and {len(decays)} decays: there must be 3 and 2 or more")
    missing = [(rate, decay) for rate in rates for decay in decays if (rate, decay) not in losses]
    if missing:
        raise NormRegError(f"no loss at rate {missing[0][0]:g} with decay {missing[0][1]:g}: the grid must be whole")
    table = np.array([[losses[rate, decay] for decay in decays] for rate in rates], dtype=float)
    return rates, decays, np.where(np.isfinite(table), table, np.inf)


def _best(rates: np.ndarray, means: np.ndarray) -> np.ndarray:
    return np.array([_lowest(np.log(rates), column) for column in means.T])


def _lowest(x: np.ndarray, y: np.ndarray) -> float:
    least = int(np.argmin(y))
    if least in (0, len(y) - 1):
        raise NormRegError(f"the best rate lies at the end of the grid ({np.exp(x[least]):g}): try rates beyond it")
    near = slice(least - 1, least + 2)
    if not np.isfinite(y[near]).all():
        return float(np.exp(x[least]))
    square, linear, _ = np.polyfit(x[near] - x[least], y[near], 2)
    return float(np.exp(x[least] - linear / (2 * square))) if square > 0 else float(np.exp(x[least]))


def _slope(decays: np.ndarray, best: np.ndarray) -> float:
    return float(np.polyfit(np.log(decays), np.log(best), 1)[0])
