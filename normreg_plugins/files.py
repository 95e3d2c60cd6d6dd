"""Write files atomically, and read them back; read the weights of a checkpoint."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class DamagedFileError(ValueError):
    """A file that is cut off, or whose content is not what its name says."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to. When the block ends, that file replaces `path` in one step.

    If the block raises or the process is killed, `path` stays as it was. The temporary path has the suffix of `path`,
    because many libraries choose the format by it. The folder is created if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        with unfinished.open("r+b") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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
    """The objects of a file with one JSON object per line. A last line that a killed run left unfinished is skipped."""
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
    """The numbers of a two-dimensional .npy file, which must have at least this many columns."""
    import numpy as np

    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy has no exception of its own for a damaged file
        raise DamagedFileError(f"{path} cannot be read as an array, perhaps cut off: {error!r}") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "iuf":
        raise DamagedFileError(f"{path} has no numbers in rows and columns")
    if columns is not None and values.shape[1] < columns:
        raise DamagedFileError(f"{path} has {values.shape[1]} columns, {columns} are needed")
    return values


class Inert:
    """Replaces each object in a training checkpoint that is not a weight, such as mmengine's log."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The `state_dict` and the `meta` of a checkpoint, weights only. Other objects become `Inert`."""
    content = _load(path)
    if not isinstance(content, dict):
        raise DamagedFileError(f"{path} does not belong to any net: it is a {type(content).__name__}")
    return {"state_dict": content.get("state_dict", content), "meta": content.get("meta") or {}}


def _load(path: Path) -> Any:
    """Reading a training checkpoint, with its other objects, needs torch 2.6."""
    import torch

    serialization: Any = torch.serialization
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            if not hasattr(serialization, "get_unsafe_globals_in_checkpoint"):  # torch < 2.6
                raise
        foreign = serialization.get_unsafe_globals_in_checkpoint(path)
        with serialization.safe_globals([(Inert, name) for name in foreign]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises many kinds of exceptions for damaged files
        raise DamagedFileError(
            f"{path} cannot be read as weights only:\n{error}\nA training checkpoint needs torch >= 2.6 here; or save "
            "only dict(state_dict=..., meta=...) of it."
        ) from error
