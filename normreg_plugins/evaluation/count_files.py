"""Saved counts of people: `predictions.json`, and beside it the density maps as `NAME.npy`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.files import DamagedFileError, atomic_path, read_json, read_numbers, write_json

FILE = "predictions.json"


def save_map(folder: Path, name: str, density: NDArray[np.float32]) -> None:
    with atomic_path(folder / f"{name}.npy") as unfinished:
        np.save(unfinished, density)


def save_counts(folder: Path, counts: Mapping[str, float]) -> None:
    write_json(folder / FILE, {"counts": dict(counts)})


def load_counts(folder: Path) -> dict[str, float]:
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; tools/test.py writes it, see docs/crowd.md")
    content = read_json(path)
    counts = content.get("counts") if isinstance(content, dict) else None
    if not isinstance(counts, dict) or not all(isinstance(count, int | float) for count in counts.values()):
        raise DamagedFileError(f"{path} holds no counts of people; tools/test.py writes it, see docs/crowd.md")
    return counts


def load_map(folder: Path, name: str) -> NDArray[np.float32] | None:
    """The density map of an image, or None if it was not saved."""
    path = folder / f"{name}.npy"
    return read_numbers(path) if path.is_file() else None
