"""One training of a comparison: its folder, the claim of the process that trains it, and its result.

Processes and machines share a table through its folder. Whoever holds the lock of a cell trains it. The operating
system frees the lock when the process ends, however it ends, so that another process takes the cell up again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from normreg_plugins.files import write_json
from research.comparison.description import Comparison, ComparisonError

RESULT = "result.json"


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
    """What a training reached. A score is None if the training left the range of its numbers."""

    validation: float | None
    test: Mapping[str, float | None]
    seconds: float
    date: str
    stack: Mapping[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)
    """What else a kind of task measures, such as filter norms."""


Results = dict[Cell, Result]


def settings_of(comparison: Comparison, cell: Cell) -> dict[str, Any]:
    """What the training of a cell is told, besides its seed. A method's own settings have the last word."""
    column, method = comparison.columns[cell.column], comparison.methods[cell.method]
    rate = {} if cell.rate is None else {comparison.rate: cell.rate}
    return {**comparison.base, **column, **rate, **method}


@contextmanager
def claimed(folder: Path, cell: Cell) -> Iterator[bool]:
    """True within the block if this process alone may train the cell now."""
    place = folder / cell.folder
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def save_result(comparison: Comparison, folder: Path, cell: Cell, result: Result) -> None:
    content = {"cell": asdict(cell), "settings": settings_of(comparison, cell), **asdict(result)}
    write_json(folder / cell.folder / RESULT, content)


def read_result(comparison: Comparison, folder: Path, cell: Cell) -> Result | None:
    """The result of a cell, or None if it has none yet. A result of other settings is refused."""
    path = folder / cell.folder / RESULT
    if not path.is_file():
        return None
    found = json.loads(path.read_text())
    wanted = json.loads(json.dumps(settings_of(comparison, cell)))
    if (had := found["settings"]) != wanted:
        keys = sorted(key for key in {*had, *wanted} if had.get(key) != wanted.get(key))
        raise ComparisonError(
            f"{path} is of {keys[0]}={had.get(keys[0])!r}, and now {wanted.get(keys[0])!r} is wanted: "
            "take another --work-dir, or delete the folder of the cell"
        )
    del found["cell"], found["settings"]
    return Result(**found)
