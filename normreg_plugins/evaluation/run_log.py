"""Reads numbers from what mm's runs log, however often a run was resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from normreg_plugins.evaluation.detection_files import PredictionsError
from normreg_plugins.files import read_lines


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
        for row in read_lines(file):
            for name in found.keys() & row.keys():
                if not is_number(row.get("step")) or not is_number(row[name]):
                    there = f"{name} {row[name]!r} at step {row.get('step')!r}"
                    raise PredictionsError(f"{file} is not the log of a run: {there}")
                found[name][row["step"]] = row[name]
    if missing := [name for name, values in found.items() if not values]:
        raise PredictionsError(f"{run} has logged no {', '.join(missing)}")
    return {name: (sorted(values), [values[step] for step in sorted(values)]) for name, values in found.items()}


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
