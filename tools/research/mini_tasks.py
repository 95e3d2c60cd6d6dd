"""The tasks of configs/mini, the methods that each task has a config for, and what its evaluator calls the scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mini"


@dataclass(frozen=True)
class Task:
    config: str
    """What the names of its configs begin with."""
    methods: tuple[str, ...]
    scores: Mapping[str, str]
    """From the title of a column to the name that the evaluator gives the score."""
    digits: int


METHODS = ("wd", "wrs", "wrs_ic", "aws", "pgd")
TASKS = {
    "detection": Task("yolov3", (*METHODS, "adamp"), {"mAP@.5": "coco/bbox_mAP_50", "mAP": "coco/bbox_mAP"}, digits=3),
    "segmentation": Task("deeplabv3", METHODS, {"mIoU": "mIoU", "pixel accuracy": "aAcc"}, digits=1),
    "classification": Task(
        "resnet18", (*METHODS, "adamp", "ws", "bwn"), {"top-1": "accuracy/top1", "top-5": "accuracy/top5"}, digits=1
    ),
    "crowd": Task("csrnet", METHODS, {"MAE": "count/MAE", "RMSE ('MSE')": "count/RMSE"}, digits=2),
}


def config_of(task: str, method: str) -> Path:
    return CONFIGS / f"{TASKS[task].config}_{method}.py"
