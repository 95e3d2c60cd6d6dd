"""One command line for the experiments of a paper: train, print tables, draw one picture, save all numbers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console

from research.results import save_figure, save_json
from research.studies.common import side_by_side


@dataclass(frozen=True)
class Part:
    """One experiment, the length of its runs, and what to save besides each run."""

    experiment: Any
    updates: int
    summary: Callable[[dict], Any] | None = None


def main_of(description: str | None, name: str, parts: Mapping[str, Part], argv: Sequence[str] | None) -> int:
    args = parse_args(description, name, parts, argv)
    figure = Figure(figsize=(6 * len(args.parts), 5), layout="constrained")
    panels = figure.subplots(1, len(args.parts), squeeze=False)[0]
    console = Console()
    numbers: dict[str, Any] = {}
    for part_name, axes in zip(args.parts, panels, strict=True):
        part = parts[part_name]
        runs = part.experiment.runs(args.seeds, max(1, round(part.updates * args.length)))
        results = side_by_side(part.experiment.train, runs, args.workers, part_name)
        console.print(part.experiment.table(results))
        part.experiment.draw(results, axes)
        numbers[part_name] = {"runs": [{**asdict(run), **asdict(outcome)} for run, outcome in results.items()]}
        if part.summary:
            numbers[part_name]["summary"] = part.summary(results)
    console.print(save_figure(figure, args.out / f"{name}.png"), soft_wrap=True)
    console.print(save_json(numbers, args.out / f"{name}.json"), soft_wrap=True)
    return 0


def parse_args(
    description: str | None, name: str, parts: Mapping[str, Part], argv: Sequence[str] | None
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("parts", nargs="*", default=[*parts], help=f"which experiments, of {', '.join(parts)}")
    add("--seeds", type=int, default=3, help="trainings of each setting")
    add("--length", type=float, default=1.0, help="0.5: half as many updates")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1), help="trainings at a time, a thread each")
    add("--out", type=Path, default=Path("work_dirs") / name, help="folder for the picture and the numbers")
    args = parser.parse_args(argv)
    if unknown := [part for part in args.parts if part not in parts]:
        parser.error(f"there is no part {', '.join(unknown)}: choose of {', '.join(parts)}")
    for option in ("seeds", "workers", "length"):
        if not getattr(args, option) > 0:
            parser.error(f"--{option} {getattr(args, option)}: must be above 0")
    return args
