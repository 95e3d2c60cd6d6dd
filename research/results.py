"""How the results of several trainings are summed up and saved."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from normreg_plugins.files import atomic_path, write_json


def mean_and_error(values: Sequence[float], digits: int = 1) -> str:
    """The mean and, of several values, their standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def save_figure(figure: Figure, path: Path) -> str:
    """Write the picture and return a line that says so."""
    said = f"picture{_replaced(path)}: {path}"
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, dpi=110)
    return said


def save_json(content: Any, path: Path) -> str:
    """Write the numbers and return a line that says so."""
    said = f"numbers{_replaced(path)}: {path}"
    write_json(path, content)
    return said


def _replaced(path: Path) -> str:
    return " (replaced)" if path.exists() else ""
