"""Find what a run logged in the folder of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from normreg_plugins.core.errors import NormRegError

PATTERNS = ("norms.jsonl", "norms_*.jsonl", "*/vis_data/scalars.json", "vis_data/scalars.json", "results.csv")
"""What the monitor wrote, mmengine's log, ultralytics' table. The first that is there is taken."""


def log_of(run: Path) -> Path:
    """The file that `read_run` reads: the run itself if it is a file, else the newest log in its folder."""
    if run.is_file():
        return run
    for pattern in PATTERNS:
        found = sorted(run.glob(pattern), key=lambda path: path.stat().st_mtime)
        if found:
            return found[-1]
    raise NormRegError(f"{run}: no run; it has none of {', '.join(PATTERNS)}")


def logs_of(runs: Sequence[Path], names: Sequence[str] | None = None) -> dict[str, Path]:
    """The log of each run, by the name of its folder, or by the shortest end of its path that tells the runs apart."""
    logs = [log_of(run) for run in runs]
    names = names or _short_names(runs)
    if len(set(names)) != len(runs):
        raise NormRegError(f"names: {len(runs)} runs need as many different names, got {', '.join(names)}")
    return dict(zip(names, logs, strict=True))


def _short_names(runs: Sequence[Path]) -> list[str]:
    parts = [run.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(runs):
            break
    return names
