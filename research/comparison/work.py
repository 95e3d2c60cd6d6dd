"""Train the cells of a comparison until none is left. Any number of processes may do so at the same time."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from research.comparison.cells import Cell, Result, Results, claimed, read_result, save_result
from research.comparison.description import Comparison
from research.comparison.plan import wanted_cells

TrainCell = Callable[[Comparison, Cell, Path], Result]
Takes = Callable[[Cell], bool]
WAIT = 5.0
"""Seconds between two looks at cells that other processes train."""


def work(
    comparison: Comparison, folder: Path, train: TrainCell, takes: Takes | None = None, wait: float = WAIT
) -> list[Cell]:
    """Train wanted cells one by one, and return those that failed.

    Args:
        takes: whether this process may train a cell; the others are left to other processes. None: it may train all.
        wait: where others train all cells that are left, look again after so many seconds. Their results may make
            more cells wanted.
    """
    failed: list[Cell] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(comparison.name)
        while True:
            found = results_so_far(comparison, folder)
            wanted = [cell for cell in wanted_cells(comparison, found) if takes is None or takes(cell)]
            left = [cell for cell in wanted if cell not in found and cell not in failed]
            progress.update(bar, completed=len(wanted) - len(left), total=len(wanted))
            if not left:
                return failed
            progress.update(bar, description=f"{comparison.name}: waiting for other processes")
            for cell in left:
                with claimed(folder, cell) as mine:
                    if mine and read_result(comparison, folder, cell) is None:
                        progress.update(bar, description=f"{comparison.name}: {cell}")
                        failed += _trained(comparison, folder, cell, train)
                        break
            else:
                time.sleep(wait)


def _trained(comparison: Comparison, folder: Path, cell: Cell, train: TrainCell) -> list[Cell]:
    """Train one cell. An error is printed and does not end the others; the next start tries the cell again."""
    try:
        save_result(comparison, folder, cell, train(comparison, cell, folder / cell.folder))
    except Exception:
        traceback.print_exc()
        return [cell]
    return []


def results_so_far(comparison: Comparison, folder: Path) -> Results:
    """The results of all cells that are wanted, as far as they are there."""
    found: dict[Cell, Result] = {}
    while True:
        new = _read(comparison, folder, [cell for cell in wanted_cells(comparison, found) if cell not in found])
        if not new:
            return found
        found.update(new)


def _read(comparison: Comparison, folder: Path, cells: list[Cell]) -> Mapping[Cell, Result]:
    read = {cell: read_result(comparison, folder, cell) for cell in cells}
    return {cell: result for cell, result in read.items() if result is not None}
