"""A method inside any ultralytics trainer, as a class in front of the trainer's.

The class overrides what changes weights or the optimizer without the method: the trainer builds the optimizer (again
after running out of memory), averages weights, and loads half-precision averages on resume. Nothing is put on the
model, because the checkpoints pickle the whole model.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER, RANK
from ultralytics.utils.torch_utils import autocast, unwrap_model

from normreg_plugins.core import Method, attach
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.training import named_by
from normreg_plugins.hosts import methods
from normreg_plugins.hosts.run_report import log_to, report, warn_if_idle, write_verdicts
from normreg_plugins.hosts.ultralytics.ema_correction import AverageCorrection
from normreg_plugins.hosts.ultralytics.monitor_trainer import MonitorTrainer, base_trainer, monitor_settings
from normreg_plugins.hosts.ultralytics.parameter_groups import decay_
from normreg_plugins.monitor import EVERY


def take_method(settings: dict[str, Any]) -> Method | None:
    """Remove our keys from ultralytics' settings and return the method they describe, or None if there are none.

    `wrs.interval=10` on a command line, `wrs: {interval: 10}` in YAML.
    """
    return methods.take_method(settings, DEFAULT_CFG_DICT)


def with_method(
    model: Model | type[BaseTrainer],
    method: Method,
    select: str | Iterable[str] | None = None,
    *,
    monitor: int = EVERY,
) -> type[BaseTrainer]:
    """The trainer class of a model's task with a method and a monitor in it, for `model.train(trainer=...)`.

    Args:
        model: an ultralytics model, whose task decides the trainer; or a trainer class.
        select: short for the method's own `select`: names or patterns of weights or layers to act on.
        monitor: updates between two reports on filters, see `with_monitor`; 0 for no monitor.

    The trainer decays conv and linear weights, but neither norm layers nor biases. A method whose `decay_on` names norm
    layers or gammas gives them the weight decay of the weights. A decayed beta warms up as a weight, not as a bias
    (`warmup_bias_lr`).
    """
    base = base_trainer(model)
    if not isinstance(method, Method):
        raise NormRegError(f"method={method!r}: must be a method object, such as WeightRescaling(interval=10)")
    method = method if select is None else replace(method, select=select)
    settings = {"method": method, **monitor_settings(monitor), "__doc__": f"{base.__name__} with {method!r}."}
    return type(f"{type(method).__name__}{base.__name__}", (MonitorTrainer, MethodTrainer, base), settings)


class MethodTrainer(BaseTrainer):
    """To inherit from in front of a task's trainer. `with_method` makes such a class, or you write one:

    class MyTrainer(MethodTrainer, DetectionTrainer):
        method = WeightRescaling(interval=10)

    The settings are class attributes because the multi-GPU launcher creates the trainer from its class in every worker.
    """

    method: ClassVar[Method]
    handle: Any = None
    """The `Handle` of the attached method, once there is an optimizer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._correction = AverageCorrection()
        self.add_callback("on_train_end", lambda trainer: warn_if_idle(trainer.handle))

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> Optimizer:
        optimizer = super().build_optimizer(model, *args, **kwargs)
        plain = unwrap_model(model)
        if self.handle is not None:  # the optimizer is built again
            self.handle.detach()
        log_to(LOGGER)
        decay_(optimizer, named_by(self.method.decay_on, plain))
        self.handle = attach(
            optimizer,
            plain,
            self.method,
            forward=self._training_forward,
            updates_per_epoch=max(1.0, len(self.train_loader) / self.accumulate),
        )
        methods.guard_resume(optimizer, self.method, "model=CHECKPOINT and no resume")
        report(self.handle)
        if RANK in {-1, 0} and not self.resume:  # a resume can still be refused, and must leave the folder as it is
            write_verdicts(self.handle, Path(self.save_dir))
        return optimizer

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        self._correction.remember(batch)
        return super().preprocess_batch(batch)

    def validate(self) -> Any:
        with self._correct_average():
            return super().validate()

    def save_model(self) -> Any:
        with self._correct_average():
            return super().save_model()

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """Called on resume and when the trainer recovers from NaN. It loads a half-precision average as weights."""
        super()._load_checkpoint_state(ckpt)
        self.handle.reapply()
        if self.resume and RANK in {-1, 0}:
            write_verdicts(self.handle, Path(self.save_dir))

    def _training_forward(self, model: nn.Module) -> Any:
        """The loss of one validation image, twice: not augmented, and without a batch of the training loader."""
        criterion: Any = getattr(model, "criterion", None)
        self._model_train()  # norm layers of frozen layers stay frozen
        batch = self.test_loader.collate_fn([self.test_loader.dataset[0], self.test_loader.dataset[0]])
        try:
            return model(super().preprocess_batch(batch))
        finally:
            model.criterion = criterion  # this forward made one without class weights, which come later

    def _correct_average(self) -> AbstractContextManager[None]:
        return self._correction.on(self.ema.ema, unwrap_model(self.model), self.handle, self._see)

    def _see(self, model: nn.Module, batch: dict[str, Any]) -> None:
        """Run a forward as in evaluation on a training batch."""
        with autocast(self.amp, device=self.device.type):
            model(super().preprocess_batch(batch)["img"])
