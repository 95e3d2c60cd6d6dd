"""The log of a run: the file that a monitor writes, and reading it or a host's own log back."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import DamagedFileError, read_lines, write_text
from normreg_plugins.monitor.report import PREFIX, Report

Line = dict[str, Any]
Curve = tuple[list[float], list[float]]
"""Steps and values."""

MM_LOG = "vis_data/scalars.json"
PATTERNS = ("norms.jsonl", "norms_*.jsonl", f"*/{MM_LOG}", MM_LOG)
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
            lines = [line for line in _lines(self.path) if line["step"] <= update]
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
        "norm_layers": {name: [_short(value) for value in drift] for name, drift in report.norm_layers.items()},
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
    lines = list(_lines(path))
    if not lines:
        raise NormRegError(f"{path}: no line has a step")
    with_layers = [line for line in lines if line.get("layers")]
    last = with_layers[-1]["layers"] if with_layers else {"name": []}
    names, fields = last["name"], [key for key in last if key != "name"]
    with_layers = [
        line for line in with_layers if line["layers"]["name"] == names and line["layers"].keys() == last.keys()
    ]
    ends = _epoch_ends(lines)
    return Run(
        name or path.stem,
        _curves(lines, lambda line: _update_of(line, ends)),
        next((line["rate_law"] for line in lines if line.get("rate_law")), None),
        [line["step"] for line in with_layers],
        names,
        {field: [_floats(line["layers"][field]) for line in with_layers] for field in fields},
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


def _lines(path: Path) -> Iterator[Line]:
    """The complete lines that have a step."""
    for line in read_lines(path):
        if "step" in line:
            if not _is_finite(line["step"]) or not _fits(line.get("layers")):
                raise DamagedFileError(f"{path}: step {line['step']!r} is not as a monitor or mmengine writes it")
            yield line


def _fits(layers: Any) -> bool:
    """Whether it is the `layers` of a report: for each field a list with one entry per layer; or nothing."""
    if not layers:
        return True
    if not isinstance(layers, dict) or not isinstance(layers.get("name"), list):
        return False
    if not all(isinstance(values, list) and len(values) == len(layers["name"]) for values in layers.values()):
        return False
    numbers = [value for field, values in layers.items() if field != "name" for value in values]
    return all(value is None or _is_finite(value) for value in numbers)


def _curves(lines: Iterable[Line], step_of: Callable[[Line], float]) -> dict[str, Curve]:
    """The values of all lines by name and step. A later line replaces what it repeats."""
    points: dict[str, dict[float, float]] = defaultdict(dict)
    for line in lines:
        step = step_of(line)
        for key, value in line.items():
            if _is_finite(value):
                points[key][step] = value
    return {key: (sorted(found), [found[step] for step in sorted(found)]) for key, found in points.items()}


def _update_of(line: Line, ends: dict[float, float]) -> float:
    """mmengine numbers evaluations by epoch and training by iteration."""
    step: float = line["step"]
    return step if "iter" in line or PREFIX + "mean" in line else ends.get(step, step)


def _epoch_ends(lines: list[Line]) -> dict[float, float]:
    ends: dict[float, float] = {}
    for line in lines:
        if "epoch" in line and "iter" in line:
            ends[line["epoch"]] = max(line["step"], ends.get(line["epoch"], 0))
    return ends


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _floats(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
