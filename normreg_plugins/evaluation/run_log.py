"""Reads numbers from what mm's runs log, however often a run was resumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from normreg_plugins.evaluation.detection_files import PredictionsError


def logged_scores(run: Path, names: Sequence[str]) -> dict[str, tuple[list[float], list[float]]]:
    """For each name the steps at which it was logged, and its values. A later log replaces what it repeats.

    Args:
        run: a work dir of mm, with a folder per start that holds vis_data/scalars.json; or such a file.
        names: as they are logged, such as 'detection/f1' once per validation, or 'grad_norm'.
    """
    files = [run] if run.is_file() else sorted(run.glob("*/vis_data/scalars.json"))
    if not files:
        raise PredictionsError(f"{run} is no work dir of a run: it has no */vis_data/scalars.json")
    found: dict[str, dict[float, float]] = {name: {} for name in names}
    for file in files:
        for row in _rows(file):
            for name in found.keys() & row.keys():
                found[name][row["step"]] = row[name]
    if missing := [name for name, values in found.items() if not values]:
        raise PredictionsError(f"{run} has logged no {', '.join(missing)}")
    return {name: (sorted(values), [values[step] for step in sorted(values)]) for name, values in found.items()}


def _rows(file: Path) -> list[dict[str, float]]:
    """One dict per line. A killed run may leave the last line cut off."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise PredictionsError(f"{file} is not the log of a run: {error}") from error
