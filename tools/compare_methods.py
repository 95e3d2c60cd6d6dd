#!/usr/bin/env python
"""Every method on a drawn set, over seeds: `python tools/compare_methods.py detection --seeds 0 1`.

It trains the configs of configs/mini as they are but for the seed, tests the checkpoint that did best in
validation, and prints each score as it came out. A run that is done is not done again: its result lies in
the work dir, so that a longer comparison goes on from a shorter one. Allow six minutes for each detector, five
for each segmenter and crowd counter, on two CPU cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mm_cli import ROOT, build_runner, check_or_refuse, read_config
from mmengine.config import DictAction

from normreg_plugins.whole_files import write_json


@dataclass(frozen=True)
class Task:
    """The configs of a task, and what its evaluator calls the scores."""

    config: str
    methods: tuple[str, ...]
    scores: Mapping[str, str]
    digits: int


METHODS = ("wd", "wrs", "wrs_ic", "aws", "pgd")
TASKS = {
    "detection": Task("yolov3", (*METHODS, "adamp"), {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}, digits=3),
    "segmentation": Task("deeplabv3", METHODS, {"mIoU": "mIoU", "pixel accuracy": "aAcc"}, digits=1),
    "crowd": Task("csrnet", METHODS, {"MAE": "count/MAE", "RMSE ('MSE')": "count/RMSE"}, digits=2),
}


def config_of(task: str, method: str) -> Path:
    return ROOT / "configs" / "mini" / f"{TASKS[task].config}_{method}.py"


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
    """Train, then test the checkpoint with the best validation; or read what came of it before."""
    result_file = work_dir / "result.json"
    if result_file.is_file():
        return json.loads(result_file.read_text())
    overrides = {
        "randomness.seed": seed,
        "visualizer.name": work_dir.name,  # mmengine keeps one visualizer per name
        "default_hooks.checkpoint.interval": -1,  # the best one is enough
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


def print_table(task: Task, seeds: list[int], results: Mapping[str, list[dict[str, Any]]]) -> None:
    each = next(iter(task.scores))
    print(f"\n| method | {each}, seeds {', '.join(map(str, seeds))} | mean {' | mean '.join(task.scores)} |")
    print("|---|---|" + "---|" * len(task.scores))
    for method, runs in results.items():
        columns = {name: [result[key] for result in runs] for name, key in task.scores.items()}
        cells = [", ".join(f"{value:.{task.digits}f}" for value in columns[each])]
        cells += [f"{statistics.mean(values):.{task.digits}f}" for values in columns.values()]
        print(f"| {method} | {' | '.join(cells)} |")


def main() -> int:
    args = parse_args()
    task = TASKS[args.task]
    results: dict[str, list[dict[str, Any]]] = {method: [] for method in args.methods}
    for seed in args.seeds:
        for method in args.methods:
            work_dir = args.work_dir / f"{method}_{seed}"
            results[method].append(run(config_of(args.task, method), seed, work_dir, args.cfg_options))
    print_table(task, args.seeds, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
