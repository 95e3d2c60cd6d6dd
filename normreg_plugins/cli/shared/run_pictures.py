"""The picture at the end of a training: filter norms, effective rate, rotation, loss and score."""

from __future__ import annotations

from pathlib import Path

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.monitor import logs_of, plot_runs

PICTURE = "norms.png"


def draw_run(folder: Path) -> Path | None:
    """Draw what the run in this folder logged, and return the picture. A run that logged nothing has none."""
    picture = folder / PICTURE
    try:
        plot_runs(logs_of([folder]), picture)
    except NormRegError as error:
        print(f"no picture of this run: {error}")
        return None
    print(f"picture: {picture}")
    return picture
