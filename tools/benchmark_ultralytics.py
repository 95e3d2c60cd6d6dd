#!/usr/bin/env python
"""What a method costs a training step: `python tools/benchmark_ultralytics.py data=data/mini/yolo/data.yaml`.

The stock trainer and ours train side by side on the same batches: forward, backward, clipping, optimizer, EMA. They
take turns and who begins changes, so that a busy machine slows both alike; what counts is the ratio. The keys are those
of tools/train_ultralytics.py, and steps=N.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from train_ultralytics import parse
from ultralytics_cli import WORK_DIR, refuse, stay_inside

DEFAULTS = {
    "model": "yolov3.yaml",
    "imgsz": 160,
    "batch": 8,
    "nbs": 8,
    "device": "cpu",
    "workers": 0,
    "optimizer": "SGD",
    "amp": False,
    "plots": False,
    "wrs.interval": 10,
}


class Rival:
    """A trainer that is stepped by hand."""

    def __init__(self, trainer_class: type, settings: dict[str, Any], name: str) -> None:
        self.trainer = trainer_class(overrides={**settings, "name": name, "exist_ok": True})
        self.trainer._setup_train()
        self.trainer._model_train()
        self.seconds: list[float] = []

    def step(self, batch: dict[str, Any]) -> None:
        """One update, as their loop makes it."""
        trainer = self.trainer
        batch = trainer.preprocess_batch({key: _copied(value) for key, value in batch.items()})
        self._wait()
        start = time.perf_counter()
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


def race(stock: Rival, ours: Rival, steps: int, interval: int) -> float:
    """The median of the ratios of mean step times, each over one interval, after one interval to warm up."""
    ratios = []
    for number in range(-interval, steps):
        if number % interval == 0:
            stock.seconds, ours.seconds = [], []
        batch = next(iter(stock.trainer.train_loader))
        for rival in (stock, ours) if number % 2 else (ours, stock):
            rival.step(batch)
        if number >= 0 and (number + 1) % interval == 0:
            theirs, mine = (statistics.fmean(rival.seconds) for rival in (stock, ours))
            ratios.append(mine / theirs)
            print(f"to step {number + 1:4}: stock {theirs:.3f} s, ours {mine:.3f} s, x {ratios[-1]:.4f}", flush=True)
    return statistics.median(ratios)


def main(arguments: list[str]) -> int:
    stay_inside()
    from ultralytics import YOLO

    from normreg_plugins.hosts.ultralytics import with_method
    from normreg_plugins.hosts.ultralytics.keys import take_method

    settings = {**DEFAULTS, **parse(arguments)}
    steps = settings.pop("steps", 40)
    if "data" not in settings:
        refuse("data= is missing; python tools/make_mini_data.py yolo draws data/mini/yolo")
    method = take_method(settings)
    settings.setdefault("project", str(WORK_DIR.resolve() / "benchmark"))
    assert method is not None
    model = YOLO(settings["model"])
    base = model.task_map[model.task]["trainer"]
    stock, ours = Rival(base, settings, "stock"), Rival(with_method(model, **method), settings, "ours")
    interval = max(10, method["method"].interval)
    ratio = race(stock, ours, steps, interval)
    what = f"{settings['model']} at {settings['imgsz']} px, batch {settings['batch']}"
    print(f"{what}: {ratio:.4f} of the stock time")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
