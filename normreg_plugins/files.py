"""Files that appear whole or not at all, whatever stops the process that writes them; and reading them back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class DamagedFileError(ValueError):
    """A file that is cut off, or holds something else than its name says."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path to write to; at the end that file takes the place of `path` in one step.

    If the block raises, or the disk has no room for all of the file, `path` stays as it was. The path given has the
    suffix of `path`, because many libraries choose the format by it. The folder is created if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        _refuse_cut_off(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _refuse_cut_off(path: Path) -> None:
    """Raise an OSError if the disk had no room for the end of the file.

    Pillow and NumPy do not notice it when only the last bytes of a file find no room. One more byte finds none then
    either.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.write(b"\0")
        file.truncate(size)
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is no valid JSON, perhaps cut off: {error}") from error


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one JSON object a line, without a last line that a killed run left cut off."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is no text: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n") or not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedFileError(f"{path}, line {number}: no valid JSON: {error}") from error
        if not isinstance(content, dict):
            raise DamagedFileError(f"{path}, line {number}: no JSON object")
        yield content


def read_numbers(path: Path, columns: int | None = None) -> Any:
    """The numbers of a .npy file of two axes.

    Args:
        columns: how many columns it has at least.
    """
    import numpy as np

    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy has no exception of its own for a damaged file
        raise DamagedFileError(f"{path} cannot be read as an array, perhaps cut off: {error!r}") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "iuf":
        raise DamagedFileError(f"{path} holds no numbers in rows and columns")
    if columns is not None and values.shape[1] < columns:
        raise DamagedFileError(f"{path} has {values.shape[1]} columns, {columns} are needed")
    return values
