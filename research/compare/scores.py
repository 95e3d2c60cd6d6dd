"""The scores of a table's rows, and the paired test of the WRS paper's Table I."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from research.compare.cells import Cell, Results, chosen_rate
from research.compare.description import Comparison

NOT_RUN = "not run"
Scores = Mapping[int, float | None]
"""By seed. None: the training diverged."""


def scores_of(
    comparison: Comparison, found: Results, column: str, method: str, name: str, rate: float | None = None
) -> Scores:
    """A test score at this rate; by default at the chosen one."""
    rates = chosen_rate(comparison, found, column, method) if rate is None else (rate,)
    cells = {seed: Cell(method, column, each, seed) for each in rates for seed in comparison.seeds}
    return {seed: found[cell].test[name] for seed, cell in cells.items() if cell in found}


@dataclass(frozen=True)
class Paired:
    """How much a method is above the baseline where both ran."""

    pairs: int
    difference: float
    """The mean of method minus baseline."""
    t: float
    p: float
    """Two-sided. NaN if there are fewer than three pairs: two that are alike by chance would look certain."""


def paired(pairs: Sequence[tuple[float, float]]) -> Paired:
    """A paired t-test of the first against the second."""
    differences = [a - b for a, b in pairs]
    if len(differences) < 3:
        return Paired(len(differences), statistics.mean(differences) if differences else math.nan, math.nan, math.nan)
    if len(set(differences)) == 1:  # no spread: scipy would warn and divide by zero
        return Paired(len(differences), differences[0], math.nan, math.nan)
    found = stats.ttest_rel(*zip(*pairs, strict=True))
    return Paired(len(differences), statistics.mean(differences), float(found.statistic), float(found.pvalue))


def paired_scores(mine: Scores, theirs: Scores) -> list[tuple[float, float]]:
    """The scores of the seeds that both have."""
    both = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    return [(a, b) for a, b in both if a is not None and b is not None]


def against_baseline(comparison: Comparison, found: Results, method: str) -> Paired:
    """Of the first score. As in the paper, a pair is a setting (a column): two means over the seeds that both have.

    A comparison with one column has no such pairs, so there a pair is a seed.
    """
    name = comparison.first_score
    columns = [
        paired_scores(
            *(scores_of(comparison, found, column, each, name) for each in (method, comparison.compared_with))
        )
        for column in comparison.columns
    ]
    if len(columns) == 1:
        return paired(columns[0])
    return paired([tuple(map(statistics.mean, zip(*pairs, strict=True))) for pairs in columns if pairs])


def shown(scores: Scores, seeds: int, digits: int) -> str:
    """Mean and standard deviation over the seeds, and what is missing."""
    if not scores:
        return NOT_RUN
    values = [score for score in scores.values() if score is not None]
    parts = []
    if values:
        spread = f"±{statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        parts.append(f"{statistics.mean(values):.{digits}f}{spread}")
    if failed := len(scores) - len(values):
        parts.append(f"{failed} of {len(scores)} failed")
    if len(scores) < seeds:
        parts.append(f"{len(scores)} of {seeds} seeds")
    return ", ".join(parts)
