"""A hook that attaches a method where `optim_wrapper` already has another constructor."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from normreg_plugins.core import Handle, Method, attach
from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.training import handle_of, refuse_unsound
from normreg_plugins.hosts.methods import build_regularizer, guard_resume
from normreg_plugins.hosts.mmengine.config import updates_per_epoch, uses_stock_ema
from normreg_plugins.hosts.run_report import MM, log_to, summary, warn_of_untested, write_verdicts
from normreg_plugins.monitor import change_at_start, rate_at_start

SEVERAL_OPTIMIZERS = "a run with several optimizers: attach a method to each with normreg_plugins.attach, in a hook"


@HOOKS.register_module()
class NormRegHook(Hook):
    """Does what NormRegOptimWrapperConstructor does, where `optim_wrapper` already has another constructor.

        custom_hooks = [*_base_.custom_hooks, dict(type="NormRegHook", regularizer=dict(type="WRS", interval=10))]

    mmengine replaces lists, so list the hooks of the base config too.
    """

    priority = "VERY_HIGH"

    def __init__(self, regularizer: dict) -> None:
        self._method = build_regularizer(regularizer)
        self._handle: Handle | None = None

    def before_run(self, runner: Runner) -> None:
        wrapper = getattr(runner, "optim_wrapper", None)
        if isinstance(wrapper, OptimWrapperDict):
            raise AttachError(SEVERAL_OPTIMIZERS)
        if self._handle is not None or not isinstance(wrapper, OptimWrapper):
            return  # a runner that has already trained, or a test
        if not isinstance(runner, Runner):
            raise AttachError(
                f"{type(runner).__name__} loads checkpoints before its hooks run, so the method would not resume: "
                "use optim_wrapper=dict(constructor='NormRegOptimWrapperConstructor', regularizer=...) instead"
            )
        self._handle = attach_to(wrapper, runner.model, self._method)


def attach_to(wrapper: OptimWrapper, model: nn.Module, method: Method) -> Handle:
    refuse_unsound(wrapper.optimizer, model, method)  # a wrapped model shows whether it is sharded
    per_epoch = updates_per_epoch(wrapper)
    plain = bare(model)
    log_to(_log)
    handle = attach(wrapper.optimizer, plain, method, updates_per_epoch=per_epoch)
    guard_resume(wrapper.optimizer, method, "load_from=CHECKPOINT and resume=False")
    _report(handle)
    return handle


def handles_of(runner: Runner) -> Iterator[Handle]:
    """The handles of the methods that are attached to a runner's optimizers."""
    for optimizer in optimizers_of(runner):
        if handle := handle_of(optimizer):
            yield handle


def optimizers_of(runner: Runner) -> list[Optimizer]:
    """A runner that only tests has none."""
    wrapper = getattr(runner, "optim_wrapper", None)
    wrappers = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    found = (getattr(each, "optimizer", None) for each in wrappers)
    return [optimizer for optimizer in found if isinstance(optimizer, Optimizer)]


def bare(model: nn.Module) -> nn.Module:
    """The model without a wrapper such as DDP."""
    return cast("nn.Module", model.module) if is_model_wrapper(model) else model


def _report(handle: Handle) -> None:
    """Log what the method acts on, and write the verdict on every weight to a file beside the log."""
    warn_of_untested(MM)
    print_log(summary(handle), logger="current")
    handle.on_first_forward(_log_rate)  # the weights are loaded by then
    handle.on_first_forward(_warn_of_stock_average)  # the config can be read by then
    handle.optimizer.register_load_state_dict_post_hook(_warn_of_stock_average)  # in a run that is resumed
    handle.optimizer.register_step_post_hook(_warn_if_idle)
    if is_main_process():
        for log in MMLogger.get_current_instance().handlers:
            if isinstance(log, logging.FileHandler):
                write_verdicts(handle, Path(log.baseFilename).parent)


def _log(message: str, level: int = logging.INFO) -> None:
    print_log(f"normreg_plugins: {message}", logger="current", level=level)


def _warn_if_idle(optimizer: Optimizer, *_: Any) -> None:
    """After the last update of a run."""
    hub, handle = MessageHub.get_current_instance(), handle_of(optimizer)
    last = hub.get_info("iter", -1) + 1 == hub.get_info("max_iters", 0)
    if last and handle is not None and handle.never_acted:
        _log(handle.never_acted, logging.WARNING)


def _log_rate(handle: Handle) -> None:
    if rate := rate_at_start(handle):
        print_log(f"{handle.method!r}: {rate}", logger="current")
    if change := change_at_start(handle):
        print_log(change, logger="current")


def _warn_of_stock_average(_: object) -> None:
    if uses_stock_ema():
        print_log(
            "mmengine's EMAHook evaluates and saves averaged filters with running statistics that do not fit them. "
            "Use type='NormRegEMAHook' instead in custom_hooks: it takes the same arguments and corrects that.",
            logger="current",
            level=logging.WARNING,
        )
