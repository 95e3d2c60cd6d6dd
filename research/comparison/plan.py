"""Which cells a comparison wants. First all rates on validation; then the best rate of each with all seeds."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping

from research.comparison.cells import Cell, Result
from research.comparison.description import Comparison

Found = Mapping[Cell, Result]


def wanted_cells(comparison: Comparison, found: Found) -> list[Cell]:
    """All cells that are wanted by what is known so far, done or not. More results may make it longer."""
    choosing, rest = [], []
    for column, method in itertools.product(comparison.columns, comparison.methods):
        tried = cells_to_choose_from(comparison, column, method)
        choosing += [cell for cells in tried.values() for cell in cells]
        every = method in comparison.every_rate.get(column, ())
        rates = tuple(tried) if every else chosen_rate(comparison, found, column, method)
        rest += [Cell(method, column, rate, seed) for rate in rates for seed in comparison.seeds]
    choosing.sort(key=lambda cell: cell.seed)  # stopped early, each method has as many seeds as the others
    return list(dict.fromkeys((*choosing, *rest)))


def cells_to_choose_from(comparison: Comparison, column: str, method: str) -> dict[float | None, list[Cell]]:
    """By rate, the cells whose validation scores decide. Without rates there is nothing to choose and all seeds run."""
    rates = comparison.rates_for(method) or (None,)
    seeds = comparison.selection_seeds if comparison.rate else comparison.seeds
    return {rate: [Cell(method, column, rate, seed) for seed in seeds] for rate in rates}


def chosen_rate(comparison: Comparison, found: Found, column: str, method: str) -> tuple[float | None, ...]:
    """The rate with the best mean validation score; of equal ones the first. Empty until all were tried."""
    tried = cells_to_choose_from(comparison, column, method)
    if not comparison.rate:
        return (None,)
    if any(cell not in found for cells in tried.values() for cell in cells):
        return ()
    worst = float("-inf")
    sign = 1 if comparison.higher_is_better else -1

    def goodness(rate: float | None) -> float:
        scores = [found[cell].validation for cell in tried[rate]]
        return worst if None in scores else sign * statistics.mean(s for s in scores if s is not None)

    return (max(tried, key=goodness),)


def cells_to_report(comparison: Comparison, found: Found, column: str, method: str) -> dict[int, Result]:
    """By seed, the results of the chosen rate."""
    rates = chosen_rate(comparison, found, column, method)
    cells = {seed: Cell(method, column, rate, seed) for rate in rates for seed in comparison.seeds}
    return {seed: found[cell] for seed, cell in cells.items() if cell in found}
