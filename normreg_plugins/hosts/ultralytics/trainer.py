"""A method inside any ultralytics trainer: a class in front of theirs, which overrides what it must and nothing more.

What is overridden is where their trainer changes weights or optimizer behind a method's back: it builds the optimizer
(once, after an out-of-memory retry perhaps again), averages weights, and loads half-precision averages on resume.
Nothing is ever put on the model, for their checkpoints pickle it as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from torch import nn
from torch.optim import Optimizer
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import autocast, unwrap_model

from normreg_plugins.core import Method, attach
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.resume import settings_of, write_settings
from normreg_plugins.hosts.ultralytics.average import AverageCorrection
from normreg_plugins.hosts.ultralytics.groups import decay_norms_, decay_of, keep_undecayed_
from normreg_plugins.hosts.ultralytics.report import norm_scalars, tell
from normreg_plugins.hosts.ultralytics.resume import refuse_strange


def with_method(
    model: Model | type[BaseTrainer],
    method: Method,
    select: str | Iterable[str] | None = None,
    *,
    decay_norms: bool = False,
) -> type[BaseTrainer]:
    """A trainer class for `model.train(trainer=...)`: that of the model's task, with a method in it.

    Args:
        model: an ultralytics model, whose task decides the trainer; or a trainer class.
        select: names or patterns of weights or layers; replaces the choice the method would make.
        decay_norms: give the norms' gamma and beta the weight decay of the weights, as the WRS paper does. The
            trainer's own rule is none. Beta then warms up as a weight, not as a bias (`warmup_bias_lr`).
    """
    base = model.task_map[model.task]["trainer"] if isinstance(model, Model) else model
    if not (isinstance(base, type) and issubclass(base, BaseTrainer)):
        raise NormRegError(f"model={model!r}: must be an ultralytics model, or the class of an ultralytics trainer")
    if not isinstance(method, Method):
        raise NormRegError(
            f"method={method!r}: must be a WeightRescaling, AdaptiveWeightShrink or SphereDescent object"
        )
    settings = {
        "method": method,
        "select": select if select is None or isinstance(select, str) else tuple(select),
        "decay_norms": decay_norms,
        "__doc__": f"{base.__name__} with {method!r}.",
    }
    return type(f"{type(method).__name__}{base.__name__}", (MethodTrainer, base), settings)


class MethodTrainer(BaseTrainer):
    """Stands in front of a task's trainer; `with_method` does that, or a class of your own:

    class MyTrainer(MethodTrainer, DetectionTrainer):
        method = WeightRescaling(interval=10)

    The settings are class attributes because their multi-GPU launcher makes the trainer anew, from its class, in every
    worker.
    """

    method: ClassVar[Method]
    select: ClassVar[str | tuple[str, ...] | None] = None
    decay_norms: ClassVar[bool] = False
    handle: Any = None
    """The method at work (`Handle`), once there is an optimizer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._correction = AverageCorrection()

    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> Optimizer:
        optimizer = super().build_optimizer(model, *args, **kwargs)
        plain = unwrap_model(model)
        if self.handle is not None:  # the optimizer is built again
            self.handle.detach()
        decay = decay_of(optimizer)
        if self.decay_norms:
            decay_norms_(optimizer, plain)
        self.handle = attach(
            optimizer,
            plain,
            self.method,
            self.select,
            forward=self._training_forward,
            updates_per_epoch=max(1.0, len(self.train_loader) / self.accumulate),
        )
        self._settings = settings_of(self.method, self.select, decay_norms=self.decay_norms)
        write_settings(optimizer, self._settings)
        if self.method.drops_weight_decay:
            keep_undecayed_(optimizer, (plain.get_parameter(name) for name in self.handle.targets))
        if RANK in {-1, 0}:
            tell(self.handle, decay, self.decay_norms, Path(self.save_dir))
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

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Norms of the targets, for results.csv here and for the loggers that read `trainer.metrics` later."""
        norms = norm_scalars(self.handle, unwrap_model(self.model))
        self.metrics.update(norms)
        others = {key: value for key, value in metrics.items() if key not in norms}
        super().save_metrics({**others, **norms})  # always last, for the columns of the file are fixed

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """On resume, and when their trainer recovers from NaN: the live weights now are a half-precision average."""
        if ckpt.get("optimizer") is not None:
            refuse_strange(ckpt["optimizer"], self.optimizer, self._settings, self.args.model)
        super()._load_checkpoint_state(ckpt)
        self.handle.reapply()

    def _training_forward(self, model: nn.Module) -> Any:
        """The loss of one validation image, taken twice: no augmentation, and the training loader stays untouched."""
        criterion: Any = getattr(model, "criterion", None)
        self._model_train()  # with the norms of frozen layers frozen
        batch = self.test_loader.collate_fn([self.test_loader.dataset[0], self.test_loader.dataset[0]])
        try:
            return model(super().preprocess_batch(batch))
        finally:
            model.criterion = criterion  # made on the way, and before the trainer has told the model its class weights

    def _correct_average(self) -> AbstractContextManager[None]:
        return self._correction.on(self.ema.ema, unwrap_model(self.model), self.handle, self._see)

    def _see(self, model: nn.Module, batch: dict[str, Any]) -> None:
        """A forward as in evaluation, on what is trained on."""
        with autocast(self.amp, device=self.device.type):
            model(super().preprocess_batch(batch)["img"])
