"""The scores of a table's rows, and the paired test of the WRS paper's Table I."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from research.comparison.cells import Cell
from research.comparison.description import Comparison
from research.comparison.plan import Found, cells_to_report

NOT_RUN = "not run"


def test_scores(comparison: Comparison, found: Found, column: str, method: str, name: str) -> dict[int, float | None]:
    """By seed, a test score at the chosen rate. None: the training left the range of its numbers."""
    return {seed: run.test[name] for seed, run in cells_to_report(comparison, found, column, method).items()}


def scores_at(comparison: Comparison, found: Found, column: str, method: str, rate: float) -> dict[int, float | None]:
    """By seed, the first test score at this rate, chosen or not."""
    name = next(iter(comparison.scores.values()))
    cells = {seed: Cell(method, column, rate, seed) for seed in comparison.seeds}
    return {seed: found[cell].test[name] for seed, cell in cells.items() if cell in found}


@dataclass(frozen=True)
class Paired:
    """How much a method is above the baseline where both ran with the same settings and the same seed."""

    pairs: int
    difference: float
    """The mean of method minus baseline."""
    t: float
    p: float
    """Two-sided. NaN if there are fewer than two pairs."""


def paired(of: Sequence[float], baseline: Sequence[float]) -> Paired:
    """A paired t-test."""
    differences = [a - b for a, b in zip(of, baseline, strict=True)]
    if len(differences) < 2:
        return Paired(len(differences), statistics.mean(differences) if differences else math.nan, math.nan, math.nan)
    if len(set(differences)) == 1:  # no spread: scipy would warn and divide by zero
        return Paired(len(differences), differences[0], math.nan, math.nan)
    found = stats.ttest_rel(of, baseline)
    return Paired(len(differences), statistics.mean(differences), float(found.statistic), float(found.pvalue))


def against_baseline(comparison: Comparison, found: Found, method: str) -> Paired:
    """Over all columns and seeds in which both have the first score."""
    name = next(iter(comparison.scores.values()))
    pairs = []
    for column in comparison.columns:
        theirs = test_scores(comparison, found, column, comparison.compared_with, name)
        mine = test_scores(comparison, found, column, method, name)
        pairs += [(mine[seed], theirs[seed]) for seed in comparison.seeds if seed in mine and seed in theirs]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return paired([a for a, _ in both], [b for _, b in both])


def shown(scores: dict[int, float | None], seeds: int, digits: int) -> str:
    """Mean and standard deviation over the seeds, and what is lacking."""
    if not scores:
        return NOT_RUN
    values = [score for score in scores.values() if score is not None]
    parts = []
    if values:
        spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        parts.append(f"{statistics.mean(values):.{digits}f}{spread}")
    if failed := len(scores) - len(values):
        parts.append(f"{failed} of {len(scores)} failed")
    if len(scores) < seeds:
        parts.append(f"{len(scores)} of {seeds} seeds")
    return ", ".join(parts)
