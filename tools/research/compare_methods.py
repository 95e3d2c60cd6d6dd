#!/usr/bin/env python
"""Every method on a drawn set, over seeds: `python tools/research/compare_methods.py detection --seeds 0 1`.

It trains the configs of configs/mini, changing only the seed, tests the checkpoint with the best validation score, and
prints a table of the scores. It draws the score of each seed as a dot, and the course of each method. Results are kept
in the work dir, and a run with a result is not repeated. So a longer comparison continues a shorter one. On two CPU
cores a detector takes six minutes, a segmenter or crowd counter five.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tools/__init__.py says why

from mmengine.config import DictAction
from rich.box import MARKDOWN
from rich.table import Table

from normreg_plugins.analysis import logs_of, plot_runs
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.evaluation import plot_dots
from normreg_plugins.whole_files import read_json, write_json
from tools.research.mini_tasks import TASKS, Task, config_of
from tools.shared.mm_runs import build_runner, check_or_refuse, read_config
from tools.shared.wide_console import wide_console


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("task", choices=TASKS)
    add("--methods", nargs="+", metavar="METHOD", help="default: all that configs/mini has for the task")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--work-dir", type=Path, help="default: work_dirs/compare_TASK; take another with --cfg-options")
    add("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE", default={}, help="settings to override")
    args = parser.parse_args()
    known = TASKS[args.task].methods
    args.methods = args.methods or known
    if unknown := set(args.methods) - set(known):
        parser.error(f"--methods {' '.join(sorted(unknown))}: configs/mini has {', '.join(known)} for {args.task}")
    args.work_dir = args.work_dir or Path("work_dirs") / f"compare_{args.task}"
    return args


def run(config: Path, seed: int, work_dir: Path, options: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Train, and test the checkpoint with the best validation score; or read the result of an earlier run."""
    result_file = work_dir / "result.json"
    if result_file.is_file():
        return read_json(result_file)
    overrides = {
        "randomness.seed": seed,
        "visualizer.name": work_dir.name,  # mmengine keeps one visualizer per name
        "default_hooks.checkpoint.interval": -1,  # only the best one is needed
        "default_hooks.checkpoint.save_last": False,
        "default_hooks.checkpoint.save_optimizer": False,
        **(options or {}),
    }
    cfg = read_config(config, overrides, work_dir)
    check_or_refuse(cfg, str(config), ("train", "val", "test"))
    runner = build_runner(cfg)
    runner.train()
    runner.load_checkpoint(runner.message_hub.get_info("best_ckpt"))
    result = {name: float(score) for name, score in runner.test().items()}
    write_json(result_file, result)
    return result


def table(task: Task, seeds: list[int], results: Mapping[str, list[dict[str, Any]]]) -> Table:
    each = next(iter(task.scores))
    shown = Table("method", f"{each}, seeds {', '.join(map(str, seeds))}", box=MARKDOWN)
    for name in task.scores:
        shown.add_column(f"mean {name}")
    for method, runs in results.items():
        columns = {name: [result[key] for result in runs] for name, key in task.scores.items()}
        means = [f"{statistics.mean(values):.{task.digits}f}" for values in columns.values()]
        shown.add_row(method, ", ".join(f"{value:.{task.digits}f}" for value in columns[each]), *means)
    return shown


def draw(task: Task, work_dir: Path, seeds: list[int], results: Mapping[str, list[dict[str, Any]]]) -> None:
    """Draw the score of each seed, and the course of each method's first seed."""
    dots = {name: {m: [run[key] for run in runs] for m, runs in results.items()} for name, key in task.scores.items()}
    plot_dots(dots, work_dir / "scores.png")
    print(f"picture: {work_dir / 'scores.png'}")
    folders = {method: work_dir / f"{method}_{seeds[0]}" for method in results}
    try:
        plot_runs(logs_of(list(folders.values()), list(folders)), work_dir / "norms.png")
    except NormRegError as error:
        print(f"no picture of the courses: {error}")
    else:
        print(f"picture: {work_dir / 'norms.png'}")


def main() -> int:
    args = parse_args()
    task = TASKS[args.task]
    results: dict[str, list[dict[str, Any]]] = {method: [] for method in args.methods}
    for seed in args.seeds:
        for method in args.methods:
            work_dir = args.work_dir / f"{method}_{seed}"
            results[method].append(run(config_of(args.task, method), seed, work_dir, args.cfg_options))
    wide_console().print(table(task, args.seeds, results))
    draw(task, args.work_dir, args.seeds, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
