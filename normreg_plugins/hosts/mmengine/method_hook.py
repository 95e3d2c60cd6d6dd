"""A hook that attaches a method where `optim_wrapper` already has another constructor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from normreg_plugins.core import Handle, Method, attach
from normreg_plugins.core.errors import AttachError, SelectionError
from normreg_plugins.core.training import handle_of, refuse_unsound
from normreg_plugins.hosts.methods import build_regularizer, guard_resume
from normreg_plugins.hosts.mmengine.config import updates_per_epoch
from normreg_plugins.hosts.mmengine.run_report import report


@HOOKS.register_module()
class NormRegHook(Hook):
    """Does what NormRegOptimWrapperConstructor does, where `optim_wrapper` already has another constructor.

        custom_hooks = [*_base_.custom_hooks, dict(type="NormRegHook", regularizer=dict(type="WRS", interval=10))]

    mmengine replaces lists, so list the hooks of the base config too.

    With several optimizers, the method is attached to each and acts on the weights which that optimizer updates.
    """

    priority = "VERY_HIGH"

    def __init__(self, regularizer: dict) -> None:
        self._method = build_regularizer(regularizer)
        self.handles: list[Handle] = []

    def before_run(self, runner: Runner) -> None:
        wrappers = list(named_wrappers(runner).values())
        if self.handles or not wrappers:
            return  # a test, or a runner that has already trained
        if not isinstance(runner, Runner):
            raise AttachError(
                f"{type(runner).__name__} loads checkpoints before its hooks run, so the method would not resume: "
                "use optim_wrapper=dict(constructor='NormRegOptimWrapperConstructor', regularizer=...) instead"
            )
        for wrapper in wrappers:
            refuse_unsound(wrapper.optimizer, runner.model, self._method)
        for wrapper in wrappers:
            self._attach(wrapper, runner, one_of_many=len(wrappers) > 1)
        if not self.handles:
            raise SelectionError(f"{self._method!r} finds no weight to act on in any of {len(wrappers)} optimizers")
        report(self.handles)

    def _attach(self, wrapper: OptimWrapper, runner: Runner, one_of_many: bool) -> None:
        schedulers = [s for s in _schedulers(runner.param_schedulers) if s.optimizer is wrapper]
        try:
            self.handles.append(attach_to(wrapper, bare_model(runner), self._method, schedulers))
        except SelectionError:
            if not one_of_many:  # one of several may have no weight for the method
                raise


def attach_to(wrapper: OptimWrapper, model: nn.Module, method: Method, schedulers: Sequence[Any] = ()) -> Handle:
    per_epoch = updates_per_epoch(wrapper)
    handle = attach(wrapper.optimizer, model, method, updates_per_epoch=per_epoch, schedulers=schedulers)
    guard_resume(wrapper.optimizer, method, "load_from=CHECKPOINT and resume=False")
    return handle


def handles_of(runner: Runner) -> Iterator[Handle]:
    """The methods attached to a runner's optimizers, by constructor or hook."""
    for wrapper in named_wrappers(runner).values():
        optimizer = wrapper.optimizer
        handle = handle_of(optimizer) if isinstance(optimizer, Optimizer) else None
        if handle is not None:
            yield handle


def bare_model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def named_wrappers(runner: Runner) -> dict[str, OptimWrapper]:
    """The runner's optimizer wrappers; a single one has the name ''. A runner that only tests has none."""
    wrapper = getattr(runner, "optim_wrapper", None)
    if isinstance(wrapper, OptimWrapperDict):
        return dict(wrapper.items())
    return {"": wrapper} if isinstance(wrapper, OptimWrapper) else {}


def _schedulers(schedulers: Any) -> Iterator[Any]:
    if isinstance(schedulers, dict):
        schedulers = [each for group in schedulers.values() for each in group]
    yield from schedulers or ()
