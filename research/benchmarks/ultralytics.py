"""The time a method adds to a step of ultralytics' trainer.

The stock trainer and ours train in turns on the same batches: forward, backward, clipping, optimizer, EMA. The result
is the ratio over windows with whole intervals of the method. The keys are those of `normreg yolo train`. Work that is
done once an epoch (correcting the average) is not measured.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from typing import Any

from rich.table import Table

from normreg_plugins.cli.console import refuse
from normreg_plugins.cli.train_ultralytics import parse
from research.benchmarks.timing import at_least, interleaved, ratios, spread
from research.benchmarks.training import windows

SHORTEST_WINDOW = 10
DEFAULTS: dict[str, Any] = {  # about two minutes on two cores
    "model": "yolov3-tiny.yaml",
    "imgsz": 256,
    "batch": 8,
    "nbs": 8,
    "device": "cpu",
    "workers": 0,
    "optimizer": "SGD",
    "amp": False,
    "plots": False,
    "project": "work_dirs/benchmark",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", nargs="+", metavar="key=value", help="such as data=data/mini/yolo/data.yaml")
    parser.add_argument("--steps", type=at_least(1), default=100)


def ready_step(trainer_class: type, settings: dict[str, Any], name: str, batches: list[Any]) -> Callable[[], None]:
    """A function that makes one update on the last batch, as in ultralytics' own loop."""
    trainer: Any = trainer_class(overrides={**settings, "name": name, "exist_ok": True})
    trainer._setup_train()
    trainer._model_train()

    def step() -> None:
        batch = trainer.preprocess_batch({k: v.clone() if hasattr(v, "clone") else v for k, v in batches[-1].items()})
        loss, _ = trainer.model(batch)
        trainer.scaler.scale(loss.sum()).backward()
        trainer.optimizer_step()

    if not batches:
        batches.append(next(iter(trainer.train_loader)))
    return step


def tables(args: argparse.Namespace) -> Iterator[Table]:
    from ultralytics import YOLO

    from normreg_plugins import WeightRescaling
    from normreg_plugins.hosts.ultralytics import with_method
    from normreg_plugins.hosts.ultralytics.method_keys import take_method

    settings = {**DEFAULTS, **parse(args.settings)}
    if "data" not in settings:
        refuse("data= is missing; python tools/data/make_mini_data.py yolo draws data/mini/yolo")
    method = take_method(settings) or WeightRescaling(interval=10)
    window = math.ceil(SHORTEST_WINDOW / method.interval) * method.interval
    if args.steps < window:
        refuse(f"--steps {args.steps}: must be {window} or more, because {method!r} acts every {method.interval}")
    model = YOLO(settings["model"])
    batches: list[Any] = []
    stock = ready_step(model.task_map[model.task]["trainer"], settings, "stock", batches)
    ours = ready_step(with_method(model, method), settings, "ours", batches)
    times = windows(interleaved({"stock": stock, "ours": ours}, args.steps), window)
    shown = Table(f"{settings['model']} at {settings['imgsz']} px", "step time", "quartiles")
    shown.add_row(f"{type(method).__name__} every {method.interval}", *spread(ratios(times["ours"], times["stock"])))
    yield shown
