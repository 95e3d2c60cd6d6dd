"""The log of a run: the file that a monitor writes, and reading it or a host's own log back."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import DamagedFileError, read_lines, write_text
from normreg_plugins.monitor.report import PREFIX, Report

Line = dict[str, Any]
Curve = tuple[list[float], list[float]]
"""Steps and values."""

FILE = "norms.jsonl"
"""The file in a run's folder with a monitor's reports, the loss and the scores. `normreg plot-norms` draws it."""
MM_LOG = "vis_data/scalars.json"
PATTERNS = (FILE, f"*/{MM_LOG}", MM_LOG)
"""Logs of a monitor and of mmengine in the folder of a run, the most informative first."""


class JsonLinesSink:
    """Appends each report to a file, one JSON object a line, in the form of mmengine's scalars.json.

    A line has `Report.scalars()` and `step`, the number of the update. `layers` has lists with one entry per layer.
    Numbers that do not exist are null. The first report of a run removes lines of updates after `Report.since`: all
    lines at the start of a run, and on resume those of updates that will happen again.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._since: int | None = None
        self._last = 0
        self._waiting: list[Line] = []

    def __call__(self, report: Report) -> None:
        if report.since != self._since or report.update <= self._last:
            self._drop_after(report.since)
            self._since = report.since
        self._append([*self._waiting, _line_of(report)])
        self._waiting.clear()
        self._last = report.update

    def write(self, update: int, **scalars: float) -> None:
        """Add numbers of your own, as `loss=` or `score=`, which the plots show.

        Before the first report they wait for it, because it says where the run began.
        """
        line = {"step": update, **{key: _short(value) for key, value in scalars.items()}}
        if self._since is None or update < self._last:
            self._waiting.append(line)
        else:
            self._append([line])

    def _append(self, lines: Iterable[Line]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{json.dumps(line, allow_nan=False)}\n" for line in lines)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def _drop_after(self, update: int) -> None:
        if self.path.exists():
            lines = [line for line in read_lines(self.path) if line.get("step", math.inf) <= update]
            write_text(self.path, "".join(f"{json.dumps(line)}\n" for line in lines))


def _line_of(report: Report) -> Line:
    rows = {name: asdict(row) for name, row in report.layers.items()}
    fields = next(iter(rows.values()))
    layers = {field: [_short(row[field]) for row in rows.values()] for field in fields}
    return {
        "step": report.update,
        "since": report.since,
        "rate_law": report.rate_law,
        **{key: _short(value) for key, value in report.scalars().items()},
        "layers": {"name": list(rows), **layers},
        "variances": {name: _short(value) for name, value in report.variances.items()},
    }


def _short(value: float) -> float | None:
    """Seven digits, the precision of float32; null for what JSON has no number for."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


@dataclass(frozen=True)
class Run:
    """What one run logged."""

    name: str
    curves: dict[str, Curve]
    """By the name of a scalar: updates and values."""
    rate_law: str | None
    """See `Report.rate_law`."""
    layer_steps: list[int]
    layer_names: list[str]
    layers: dict[str, list[list[float]]]
    """By the field of `Row`: for each report one value per layer."""


def read_run(path: Path, name: str | None = None) -> Run:
    """A run from the file of a JsonLinesSink, or mmengine's scalars.json."""
    path = Path(path)
    if not path.is_file():
        raise NormRegError(f"{path}: no such file; expected JSON lines of a monitor or of mmengine")
    lines = [line for line in read_lines(path) if "step" in line]
    if not lines:
        raise NormRegError(f"{path}: no line has a step")
    try:
        return _run_of(lines, name or path.stem)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} is not as a monitor or mmengine writes it: {error!r}") from error


def _run_of(lines: list[Line], name: str) -> Run:
    with_layers = [line for line in lines if line.get("layers")]
    last = with_layers[-1]["layers"] if with_layers else {"name": []}
    with_layers = [line for line in with_layers if line["layers"]["name"] == last["name"]]
    return Run(
        name,
        _curves(lines),
        next((line["rate_law"] for line in lines if line.get("rate_law")), None),
        [line["step"] for line in with_layers],
        list(last["name"]),
        {key: [_floats(line["layers"][key]) for line in with_layers] for key in last if key != "name"},
    )


def log_of(run: Path) -> Path:
    """The file that `read_run` reads: the run itself if it is a file, else the newest log in its folder."""
    if run.is_file():
        return run
    for pattern in PATTERNS:
        if found := sorted(run.glob(pattern), key=lambda path: path.stat().st_mtime):
            return found[-1]
    raise NormRegError(f"{run}: no run; it has none of {', '.join(PATTERNS)}")


def logs_of(runs: Sequence[Path], names: Sequence[str] | None = None) -> dict[str, Path]:
    """The log of each run, by the name of its folder, or by its path if several folders have one name."""
    logs = [log_of(run) for run in runs]
    folders = [run.resolve().name for run in runs]
    names = names or (folders if len(set(folders)) == len(runs) else [str(run) for run in runs])
    if len(set(names)) != len(runs):
        raise NormRegError(f"names: {len(runs)} runs need as many different names, got {', '.join(names)}")
    return dict(zip(names, logs, strict=True))


def _curves(lines: list[Line]) -> dict[str, Curve]:
    """The values of all lines by name and update. A later line replaces what it repeats.

    mmengine numbers training by iteration, but evaluations by epoch. These belong to the last iteration of the epoch.
    """
    ends = {line["epoch"]: line["step"] for line in lines if "epoch" in line and "iter" in line}
    points: dict[str, dict[float, float]] = defaultdict(dict)
    for line in lines:
        is_update = "iter" in line or PREFIX + "mean" in line
        step: float = line["step"]
        step = step if is_update else ends.get(step, step)
        for key, value in line.items():
            if _is_finite(value):
                points[key][step] = value
    return {key: (sorted(found), [found[step] for step in sorted(found)]) for key, found in points.items()}


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _floats(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
