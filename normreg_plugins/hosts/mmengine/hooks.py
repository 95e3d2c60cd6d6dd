"""Runner hooks: a method where a constructor is taken, averages that are correct networks, and a log of norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import EMAHook as MMEngineEMAHook
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from normreg_plugins.analysis.norms import norm_summary
from normreg_plugins.core import Handle, attach
from normreg_plugins.core.attach import refuse_unsound
from normreg_plugins.core.copies import handle_of
from normreg_plugins.core.errors import NormRegError, SelectionError
from normreg_plugins.hosts.mmengine.constructor import updates_per_epoch
from normreg_plugins.hosts.mmengine.regularizers import build_regularizer
from normreg_plugins.hosts.mmengine.report import report


@HOOKS.register_module()
class NormRegHook(Hook):
    """The same as NormRegOptimWrapperConstructor, where `optim_wrapper` has a constructor of its own already.

        custom_hooks = [dict(type="NormRegHook", regularizer=dict(type="WRS", interval=10))]

    With several optimizers, each takes care of the weights it holds. The checkpoint remembers the method, and resuming
    with another one is refused.
    """

    priority = "VERY_HIGH"

    def __init__(self, regularizer: dict) -> None:
        self._method, self._select = build_regularizer(regularizer)
        self.handles: list[Handle] = []

    def before_run(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        wrappers = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        schedulers = list(_all_schedulers(runner.param_schedulers))
        for each in wrappers:
            refuse_unsound(each.optimizer, runner.model, self._method)
        for each in wrappers:
            try:
                handle = attach(
                    each.optimizer,
                    bare_model(runner),
                    self._method,
                    self._select,
                    updates_per_epoch=updates_per_epoch(each),
                    schedulers=[s for s in schedulers if s.optimizer is each.optimizer],
                )
            except SelectionError:
                if len(wrappers) == 1:
                    raise
                continue  # an optimizer of several may hold no weight for the method
            self.handles.append(handle)
            report(handle)
        if not self.handles:
            raise SelectionError(f"{self._method!r} finds no weight to act on in any of {len(wrappers)} optimizers")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint["meta"]["normreg_plugins"] = repr(self._method)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        before = checkpoint.get("meta", {}).get("normreg_plugins")
        if runner._resume and before not in (None, repr(self._method)):
            raise NormRegError(
                f"this run was trained with {before} and cannot be resumed with {self._method!r}: resume it with the "
                "same regularizer, or begin a new run from its weights with load_from and without resume"
            )


@HOOKS.register_module(name="EMAHook", force=True)
class EMAHook(MMEngineEMAHook):
    """mmengine's EMAHook under its own name, whose average is a correct network where a method is attached.

    The mean of filters of one length is shorter than they are, while its running statistics are those of the trained
    model. So each filter of the average gets the length it has in the trained model before the average is evaluated or
    saved. Without a method nothing differs.
    """

    def before_val_epoch(self, runner: Runner) -> None:
        self._correct(runner)
        super().before_val_epoch(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        self._correct(runner)
        super().before_test_epoch(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._correct(runner)
        super().before_save_checkpoint(runner, checkpoint)

    def _correct(self, runner: Runner) -> None:
        for handle in handles_of(runner):
            handle.correct_average(self.ema_model.module)


@HOOKS.register_module()
class NormLogHook(Hook):
    """Logs the lengths of the filters a method acts on: least, mean and greatest over all, and zero filters.

    Args:
        interval: iterations between two entries.
    """

    priority = "BELOW_NORMAL"

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise NormRegError(f"interval={interval!r}: must be a whole number of iterations, 1 or more")
        self._interval = interval

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if not self.every_n_train_iters(runner, self._interval):
            return
        model = bare_model(runner)
        for handle in handles_of(runner):
            scalars = {f"norms/{key}": value for key, value in norm_summary(model, handle.targets).items()}
            runner.visualizer.add_scalars(scalars, step=runner.iter + 1)


def handles_of(runner: Runner) -> Iterator[Handle]:
    """The methods attached to a runner's optimizers, by constructor or hook."""
    wrapper = getattr(runner, "optim_wrapper", None)
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    for each in wrappers:
        optimizer = getattr(each, "optimizer", None)
        handle = handle_of(optimizer) if isinstance(optimizer, Optimizer) else None
        if handle is not None:
            yield handle


def bare_model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _all_schedulers(schedulers: Any) -> Iterator[Any]:
    if isinstance(schedulers, dict):
        schedulers = [each for group in schedulers.values() for each in group]
    yield from schedulers or ()
