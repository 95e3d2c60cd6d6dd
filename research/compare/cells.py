"""One training of a comparison, its result, and which trainings a comparison wants.

First every rate is tried and judged on validation. Then the best rate of each method runs with all seeds.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from normreg_plugins.files import write_json
from research.compare.description import Comparison, ComparisonError

RESULT = "result.json"
Group = tuple[str, str]
"""A column and a method. Which cells a group wants depends on its own results only."""


@dataclass(frozen=True)
class Cell:
    method: str
    column: str
    rate: float | None
    seed: int

    def __str__(self) -> str:
        parts = (self.method, self.column, "" if self.rate is None else f"rate {self.rate:g}", f"seed {self.seed}")
        return ", ".join(part for part in parts if part)

    @property
    def folder(self) -> str:
        parts = (self.method, self.column, "" if self.rate is None else f"{self.rate:g}", str(self.seed))
        return "_".join(re.sub(r"[^\w.+-]+", "-", part) for part in parts if part)


@dataclass(frozen=True)
class Result:
    """What a training reached. A score is None if the training diverged (NaN or Inf)."""

    validation: float | None
    test: Mapping[str, float | None]
    seconds: float
    date: str
    stack: Mapping[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else a kind of task measures, such as filter norms."""


Results = Mapping[Cell, Result]


def settings_of(comparison: Comparison, cell: Cell) -> dict[str, Any]:
    """The settings of a cell's training, besides its seed. A method's own settings override the others."""
    column, method = comparison.columns[cell.column], comparison.methods[cell.method]
    rate = {} if cell.rate is None else {comparison.rate: cell.rate}
    return {**comparison.base, **column, **rate, **method}


def save_result(comparison: Comparison, folder: Path, cell: Cell, result: Result) -> None:
    content = {"cell": asdict(cell), "settings": settings_of(comparison, cell), **asdict(result)}
    write_json(folder / cell.folder / RESULT, content)


def read_result(comparison: Comparison, folder: Path, cell: Cell) -> Result | None:
    """The saved result of a cell, or None. A result of other settings is refused."""
    path = folder / cell.folder / RESULT
    if not path.is_file():
        return None
    found = json.loads(path.read_text())
    wanted = json.loads(json.dumps(settings_of(comparison, cell)))
    if (had := found["settings"]) != wanted:
        key = min(key for key in {*had, *wanted} if had.get(key) != wanted.get(key))
        raise ComparisonError(
            f"{path} was trained with {key}={had.get(key)!r}, not {wanted.get(key)!r}: "
            "delete the folder of the cell, or give the comparison another name"
        )
    del found["cell"], found["settings"]
    return Result(**found)


def read_settings(folder: Path) -> tuple[dict[str, Any], int]:
    """The settings and the seed of a cell that was trained in this folder."""
    path = folder / RESULT
    if not path.is_file():
        raise ComparisonError(f"there is no {path}: no cell was trained in this folder")
    found = json.loads(path.read_text())
    return found["settings"], found["cell"]["seed"]


def wanted_cells(comparison: Comparison, found: Results, groups: Iterable[Group] | None = None) -> list[Cell]:
    """All cells that are wanted by what is known so far, done or not. More results may make the list longer."""
    choosing, rest = [], []
    for column, method in comparison.groups if groups is None else groups:
        tried = cells_to_choose_from(comparison, column, method)
        choosing += [cell for cells in tried.values() for cell in cells]
        every = method in comparison.every_rate.get(column, ())
        rates = tuple(tried) if every else chosen_rate(comparison, found, column, method)
        rest += [Cell(method, column, rate, seed) for rate in rates for seed in comparison.seeds]
    choosing.sort(key=lambda cell: cell.seed)  # stopped early, each method has as many seeds as the others
    return list(dict.fromkeys((*choosing, *rest)))


def cells_to_choose_from(comparison: Comparison, column: str, method: str) -> dict[float | None, list[Cell]]:
    """By rate, the cells whose validation scores decide. Without rates there is nothing to choose; all seeds run."""
    rates = comparison.rates_for(method) or (None,)
    seeds = comparison.selection_seeds if comparison.rate else comparison.seeds
    return {rate: [Cell(method, column, rate, seed) for seed in seeds] for rate in rates}


def chosen_rate(comparison: Comparison, found: Results, column: str, method: str) -> tuple[float | None, ...]:
    """The rate with the best mean validation score; on a tie, the first. Empty until all were tried."""
    tried = cells_to_choose_from(comparison, column, method)
    if not comparison.rate:
        return (None,)
    if any(cell not in found for cells in tried.values() for cell in cells):
        return ()
    sign = 1 if comparison.higher_is_better else -1

    def goodness(rate: float | None) -> float:
        scores = [found[cell].validation for cell in tried[rate]]
        known = [score for score in scores if score is not None]
        return sign * statistics.mean(known) if len(known) == len(scores) else float("-inf")

    return (max(tried, key=goodness),)


def results_so_far(comparison: Comparison, folder: Path, groups: Iterable[Group] | None = None) -> dict[Cell, Result]:
    """The saved results of all wanted cells."""
    groups = comparison.groups if groups is None else tuple(groups)
    found: dict[Cell, Result] = {}
    looked_at: set[Cell] = set()
    while new := [cell for cell in wanted_cells(comparison, found, groups) if cell not in looked_at]:
        looked_at.update(new)
        read = {cell: read_result(comparison, folder, cell) for cell in new}
        found |= {cell: result for cell, result in read.items() if result is not None}
    return found
