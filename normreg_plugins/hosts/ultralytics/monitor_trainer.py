"""A monitor inside any ultralytics trainer, with a method or without one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.torch_utils import unwrap_model

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.options import is_count, require
from normreg_plugins.hosts.run_report import log_to
from normreg_plugins.monitor import EVERY, FILE, JsonLinesSink, Monitor

PREFIX = "norms/"
Metrics = dict[str, Any]


def base_trainer(model: Model | type[BaseTrainer]) -> type[BaseTrainer]:
    """The trainer class for the task of an ultralytics model, or the trainer class that is given."""
    base = model.task_map[model.task]["trainer"] if isinstance(model, Model) else model
    if not (isinstance(base, type) and issubclass(base, BaseTrainer)):
        raise NormRegError(f"model={model!r}: must be an ultralytics model, or the class of an ultralytics trainer")
    return base


def monitor_settings(every: int) -> Metrics:
    """The class attributes of a MonitorTrainer."""
    require(is_count(every, 0), "monitor", every, "a whole number of updates, or 0 for no monitor")
    return {"monitor_every": every}


def with_monitor(model: Model | type[BaseTrainer], monitor: int = EVERY) -> type[BaseTrainer]:
    """A trainer class for `model.train(trainer=...)`: that of the model's task, with a monitor and no method.

    Args:
        model: an ultralytics model, or a trainer class.
        monitor: updates between two reports. An epoch with fewer updates has one report.
    """
    base = base_trainer(model)
    settings = {**monitor_settings(monitor), "__doc__": f"{base.__name__} with a monitor."}
    return type(f"Monitored{base.__name__}", (MonitorTrainer, base), settings)


class MonitorTrainer(BaseTrainer):
    """Inherited before a task's trainer, and before a MethodTrainer if there is one. See `with_monitor`.

    The last report of an epoch goes to results.csv and to the loggers that read `trainer.metrics`. All reports go to
    norms.jsonl in the run's folder, with the losses and scores of each epoch, and warnings to the log. Training
    is bit-identical.
    """

    monitor_every: ClassVar[int] = EVERY
    monitor: Monitor | None = None
    """The monitor of the main process, once there is an optimizer."""

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> Optimizer:
        optimizer = super().build_optimizer(model, *args, **kwargs)
        if self.monitor is not None:  # the optimizer is built again
            self.monitor.detach()
        if self.monitor_every and RANK in {-1, 0}:
            log_to(LOGGER)
            updates_per_epoch = int(len(self.train_loader) / self.accumulate)
            every = max(1, min(self.monitor_every, updates_per_epoch))
            self._sink = JsonLinesSink(Path(self.save_dir) / FILE)
            self.monitor = Monitor(optimizer, unwrap_model(model), every, sinks=[self._sink])
        return optimizer

    def resume_training(self, ckpt: Metrics | None) -> None:
        super().resume_training(ckpt)
        if self.monitor is not None and self.ema:
            self.monitor.suppose(self.ema.updates)  # one for each update of the optimizer

    def final_eval(self) -> None:
        if self.monitor is not None:
            self.monitor.finish()
        super().final_eval()

    def save_metrics(self, metrics: Metrics) -> None:
        if self.monitor is None:
            super().save_metrics(metrics)
            return
        ours = scalars_of(self.monitor)
        self.metrics.update(ours)
        self._sink.write(self.monitor.updates, **_numbers(metrics), loss=_loss(metrics))
        super().save_metrics({**metrics, **_as_columns(ours, Path(self.csv))})


def scalars_of(monitor: Monitor) -> dict[str, float]:
    """The last report and the number of updates."""
    report = {} if monitor.last is None else monitor.last.scalars(PREFIX)
    return {**report, f"{PREFIX}updates": float(monitor.updates)}


def _as_columns(scalars: dict[str, float], file: Path) -> dict[str, float]:
    """The scalars that the file has columns for: the trainer writes the header once, with the first line."""
    if not file.exists():
        return scalars
    with file.open(encoding="utf-8") as lines:
        names = [name.strip() for name in next(lines, "").split(",")]
    return {name: scalars.get(name, math.nan) for name in names if name.startswith(PREFIX)}


def _numbers(metrics: Metrics) -> dict[str, float]:
    return {key: float(value) for key, value in metrics.items() if not key.startswith(PREFIX)}


def _loss(metrics: Metrics) -> float:
    """The sum of the losses of training."""
    return math.fsum(float(v) for k, v in metrics.items() if k.startswith("train/") and k.endswith("loss"))
