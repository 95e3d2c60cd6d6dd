#!/usr/bin/env python
"""The time a method adds to a step: `python research/benchmark_ultralytics.py data=data/mini/yolo/data.yaml`.

The stock trainer and ours train side by side on the same batches: forward, backward, clipping, optimizer, EMA. They
take turns, and the one that goes first changes, so that a busy machine slows both equally. The result is the ratio of
their times, the median over windows of steps. A window has whole intervals of the method. The keys are those of
tools/yolo/train_ultralytics.py, and steps=N. Work that is done once an epoch (correcting the average) is not measured.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from typing import Any

from normreg_plugins.cli.console import refuse
from normreg_plugins.cli.train_ultralytics import WORK_DIR, parse, provide_font

GOAL = 1.01
SHORTEST_WINDOW = 10
DEFAULTS = {  # about two minutes on two cores
    "model": "yolov3-tiny.yaml",
    "imgsz": 256,
    "batch": 8,
    "nbs": 8,
    "device": "cpu",
    "workers": 0,
    "optimizer": "SGD",
    "amp": False,
    "plots": False,
}


class Rival:
    """A trainer whose steps are called from here."""

    def __init__(self, trainer_class: type, settings: dict[str, Any], name: str) -> None:
        self.trainer = trainer_class(overrides={**settings, "name": name, "exist_ok": True})
        self.trainer._setup_train()
        self.trainer._model_train()
        self.seconds: list[float] = []

    def step(self, batch: dict[str, Any]) -> None:
        """One update, as in ultralytics' own loop."""
        trainer = self.trainer
        batch = {key: _copied(value) for key, value in batch.items()}
        self._wait()
        start = time.perf_counter()
        batch = trainer.preprocess_batch(batch)
        loss, _ = trainer.model(batch)
        trainer.scaler.scale(loss.sum()).backward()
        trainer.optimizer_step()
        self._wait()
        self.seconds.append(time.perf_counter() - start)

    def _wait(self) -> None:
        if self.trainer.accelerator is not None:
            self.trainer.accelerator.synchronize()


def _copied(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else value


def race(stock: Rival, ours: Rival, steps: int, window: int) -> list[float]:
    """The ratio of mean step times in each window. The first window warms up and is left out."""
    ratios = []
    for number in range(-window, steps):
        if number % window == 0:
            stock.seconds, ours.seconds = [], []
        batch = next(iter(stock.trainer.train_loader))
        for rival in (stock, ours) if number % 2 else (ours, stock):
            rival.step(batch)
        if number >= 0 and (number + 1) % window == 0:
            theirs, mine = (statistics.fmean(rival.seconds) for rival in (stock, ours))
            ratios.append(mine / theirs)
            print(f"to step {number + 1:4}: stock {theirs:.3f} s, ours {mine:.3f} s, x {ratios[-1]:.4f}", flush=True)
    return ratios


def benchmark(settings: dict[str, Any]) -> None:
    from ultralytics import YOLO

    from normreg_plugins import WeightRescaling
    from normreg_plugins.hosts.ultralytics import with_method
    from normreg_plugins.hosts.ultralytics.method_keys import take_method

    if "data" not in settings:
        refuse("data= is missing; python tools/data/make_mini_data.py yolo draws data/mini/yolo")
    steps = settings.pop("steps", 100)
    method = take_method(settings) or WeightRescaling(interval=10)
    window = math.ceil(SHORTEST_WINDOW / method.interval) * method.interval
    if steps < window:
        refuse(f"steps={steps}: must be {window} or more, for {method!r} acts in every {method.interval}th")
    settings.setdefault("project", str(WORK_DIR.resolve() / "benchmark"))
    model = YOLO(settings["model"])
    base = model.task_map[model.task]["trainer"]
    ratios = race(Rival(base, settings, "stock"), Rival(with_method(model, method), settings, "ours"), steps, window)
    print(
        f"{type(method).__name__} every {method.interval}, {settings['model']} at {settings['imgsz']} px, batch "
        f"{settings['batch']}, {len(ratios)} windows of {window} steps from {min(ratios):.4f} to {max(ratios):.4f}\n"
        f"ratio (the goal is at most {GOAL}): {statistics.median(ratios):.4f} of the stock time"
    )


def main(arguments: list[str]) -> int:
    provide_font()
    from normreg_plugins.core.errors import NormRegError

    try:
        benchmark({**DEFAULTS, **parse(arguments)})
    except NormRegError as error:
        refuse(f"benchmark_ultralytics.py: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
