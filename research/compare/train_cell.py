"""Train the wanted cells of a comparison until none is left; how one is trained depends on the kind of the task.

Groups of cells (a column and a method) are independent, so processes and machines need no locks: each takes a part.
"""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from research.compare.cells import (
    Cell,
    Group,
    Result,
    read_result,
    results_so_far,
    save_result,
    settings_of,
    wanted_cells,
)
from research.compare.description import Comparison, ComparisonError

NAMED = (
    *("torch", "mmengine", "onedl-mmengine", "mmcv", "onedl-mmcv", "mmdet", "onedl-mmdetection"),
    *("mmsegmentation", "onedl-mmsegmentation", "mmpretrain", "onedl-mmpretrain", "ultralytics"),
)
"""The packages whose versions a result names."""
ROOT = Path(__file__).resolve().parents[2]
Measured = tuple[float | None, Mapping[str, float | None], Mapping[str, Any]]
"""The validation score, the test scores by name, and what else was measured."""
TrainCell = Callable[[Comparison, Cell, Path], Result]


def part_of(groups: Sequence[Group], part: str) -> list[Group]:
    """The groups of part 'i/n': every n-th, from the i-th on. Parts 1/n to n/n are disjoint and cover all groups."""
    index, _, count = part.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ComparisonError(f"part {part!r}: write i/n with 1 <= i <= n, such as 1/4")
    return list(groups[int(index) - 1 :: int(count)])


def work(comparison: Comparison, folder: Path, train: TrainCell, groups: Sequence[Group] | None = None) -> list[Cell]:
    """Train the wanted cells of these groups (default: all) one by one, and return those that failed.

    An error is printed and ends its cell only; the next start tries it again.
    """
    groups = comparison.groups if groups is None else groups
    found, failed = results_so_far(comparison, folder, groups), list[Cell]()
    while left := [c for c in wanted_cells(comparison, found, groups) if c not in found and c not in failed]:
        if result := read_result(comparison, folder, left[0]):  # of an earlier choice of rates
            found[left[0]] = result
            continue
        print(f"{comparison.name}: {left[0]}; {len(found)} trained, {len(left)} left", file=sys.stderr)
        try:
            result = train(comparison, left[0], folder / left[0].folder)
            save_result(comparison, folder, left[0], result)
            found[left[0]] = result
        except Exception:
            traceback.print_exc()
            failed.append(left[0])
    return failed


def train_cell(comparison: Comparison, cell: Cell, folder: Path) -> Result:
    begun = time.monotonic()
    trains = {"mm": _train_mm, "mmpretrain": _train_mmpretrain, "cifar": _train_cifar}[comparison.kind]
    validation, test, more = trains(comparison, cell, folder)
    if lost := [name for name in comparison.scores.values() if name not in test]:
        raise ComparisonError(f"{comparison.name}: there is no score {lost[0]!r}, only {', '.join(test)}")
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    scores = {name: _finite(score) for name, score in test.items()}
    return Result(_finite(validation), scores, round(time.monotonic() - begun, 1), date, stack(comparison.kind), more)


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None


def stack(kind: str) -> dict[str, str]:
    """What a result depends on besides this project."""
    named = NAMED[:1] if kind == "cifar" else NAMED
    there = {str(found.metadata["Name"]).lower(): found.version for found in distributions()}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return {"device": device, **{name: there[name] for name in named if name in there}}


def config_of(comparison: Comparison, method: str, column: str = "") -> Path:
    """The mm config of a method, or of a method in a column."""
    settings = {**comparison.columns.get(column, {}), **comparison.methods[method]}
    return ROOT / settings.get("config", comparison.config).format(method=method)


def mixed_precision(enabled: bool) -> torch.autocast:
    """bfloat16 on the CPU, where mm has no AMP. A cache would use the weights of the first update all the time."""
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled, cache_enabled=False)


def _train_mm(comparison: Comparison, cell: Cell, folder: Path) -> Measured:
    """Train the config of a method, and test the checkpoint with the best validation score."""
    from normreg_plugins.cli.mm_runs import build_runner, check_or_refuse, read_config  # not every kind has mm

    settings = {key: value for key, value in settings_of(comparison, cell).items() if key != "config"}
    overrides = {
        "randomness.seed": cell.seed,
        "visualizer.name": folder.name,  # mmengine keeps one visualizer per name
        "default_hooks.checkpoint.interval": -1,  # only the best one is needed
        "default_hooks.checkpoint.save_last": False,
        "default_hooks.checkpoint.save_optimizer": False,
        **({"val_cfg.fp16": True, "test_cfg.fp16": True} if comparison.bfloat16 else {}),  # bfloat16 on a CPU
        **settings,
    }
    config = config_of(comparison, cell.method, cell.column)
    cfg = read_config(config, overrides, folder)
    check_or_refuse(cfg, str(config), ("train", "val", "test"))
    runner = build_runner(cfg)
    with mixed_precision(comparison.bfloat16):
        runner.train()
        runner.load_checkpoint(runner.message_hub.get_info("best_ckpt"))
        test = runner.test()
    return float(runner.message_hub.get_info("best_score")), {name: float(score) for name, score in test.items()}, {}


def _train_mmpretrain(comparison: Comparison, cell: Cell, folder: Path) -> Measured:
    from research.cifar.in_mm import train_in_mm

    return train_in_mm(settings_of(comparison, cell), cell.seed, folder)


def _train_cifar(comparison: Comparison, cell: Cell, folder: Path) -> Measured:
    from research.cifar.training import train, training_of

    outcome = train(training_of(settings_of(comparison, cell)), cell.seed, folder)
    more = {"failed_at": outcome.failed_at, "filter_norm": outcome.filter_norm, "train_loss": outcome.loss}
    test = {"accuracy": outcome.test, "class_accuracy": outcome.test_by_class, "first_norm": outcome.first_norm}
    return outcome.validation, test, more
