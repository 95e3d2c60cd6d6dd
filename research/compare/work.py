"""Train the cells of a comparison until none is left.

Groups of cells (a column and a method) are independent, so processes and machines need no locks: each takes a part.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from research.compare.cells import Cell, Group, Result, results_so_far, save_result, wanted_cells
from research.compare.description import Comparison, ComparisonError

TrainCell = Callable[[Comparison, Cell, Path], Result]


def part_of(groups: Sequence[Group], part: str) -> list[Group]:
    """The groups of part 'i/n': every n-th, from the i-th on. Parts 1/n to n/n are disjoint and cover all groups."""
    index, _, count = part.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ComparisonError(f"part {part!r}: write i/n with 1 <= i <= n, such as 1/4")
    return list(groups[int(index) - 1 :: int(count)])


def work(comparison: Comparison, folder: Path, train: TrainCell, groups: Sequence[Group] | None = None) -> list[Cell]:
    """Train the wanted cells of these groups (default: all) one by one, and return those that failed."""
    groups = comparison.groups if groups is None else groups
    found, failed = results_so_far(comparison, folder, groups), list[Cell]()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(comparison.name)
        while True:
            wanted = wanted_cells(comparison, found, groups)
            left = [cell for cell in wanted if cell not in found and cell not in failed]
            progress.update(bar, completed=len(wanted) - len(left), total=len(wanted))
            if not left:
                return failed
            progress.update(bar, description=f"{comparison.name}: {left[0]}")
            result = _trained(comparison, folder, left[0], train)
            if result is None:
                failed.append(left[0])
            else:
                found[left[0]] = result


def _trained(comparison: Comparison, folder: Path, cell: Cell, train: TrainCell) -> Result | None:
    """Train and save one cell. An error is printed and ends this cell only; the next start tries it again."""
    try:
        result = train(comparison, cell, folder / cell.folder)
        save_result(comparison, folder, cell, result)
    except Exception:
        traceback.print_exc()
        return None
    return result
