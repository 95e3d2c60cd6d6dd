"""What the studies share: settings trained for every seed, in a command with --seeds and --length, and their table."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from normreg_plugins.files import write_json
from research.compare.page import table

Setting = Mapping[str, Any]
Row = dict[str, Any]
"""A setting, its seed, and what was measured."""


def run(
    doc: str | None,
    name: str,
    updates: int,
    settings: Sequence[Setting],
    train: Callable[..., Mapping[str, Any]],
    show: Callable[[list[Row]], str],
    argv: Sequence[str] | None = None,
) -> int:
    """Train every setting with every seed, print the table, and save the numbers of all runs."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="trainings of each setting (%(default)s)")
    add("--length", type=float, default=1.0, help="0.5: half as many updates")
    add("--out", type=Path, default=Path("work_dirs/tables"), help="folder for the numbers")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    length = max(1, round(updates * args.length))
    runs = [(setting, seed) for setting in settings for seed in range(args.seeds)]
    rows = [{**each, "seed": seed, **train(**each, seed=seed, updates=length)} for each, seed in track(runs, name)]
    write_json(args.out / f"{name}.json", rows)
    print(show(rows))
    return 0


def where(rows: Iterable[Row], **settings: Any) -> list[Row]:
    return [row for row in rows if all(row[key] == value for key, value in settings.items())]


def powers(rows: list[Row], x: Callable[[Row], float], y: Callable[[Row], float]) -> list[float]:
    """By seed, the power p in y ~ x^p: the slope of log y over log x."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        points = np.log([(x(row), y(row)) for row in where(rows, seed=seed)])
        found.append(float(np.polyfit(points[:, 0], points[:, 1], 1)[0]))
    return found


def mean_and_error(values: Sequence[float], digits: int = 3) -> str:
    """The mean and, of several values, their standard deviation."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


__all__ = ["mean_and_error", "powers", "run", "table", "where"]
