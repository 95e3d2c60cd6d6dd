"""A hook that attaches a method where `optim_wrapper` already has another constructor."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
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
from normreg_plugins.hosts.run_report import log_to, logger, report, warn_if_idle, write_verdicts
from normreg_plugins.layers import lost_in_loading

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
    optimizer, log = wrapper.optimizer, MMLogger.get_current_instance()
    refuse_unsound(optimizer, model, method)  # a wrapped model shows whether it is sharded
    log_to(log)
    per_epoch = updates_per_epoch(wrapper)
    handle = attach(optimizer, bare(model), method, updates_per_epoch=per_epoch)
    guard_resume(optimizer, method, "load_from=CHECKPOINT and resume=False")
    report(handle)
    handle.on_first_forward(partial(_warn_of_lost_function, bare(model)))
    handle.on_first_forward(_warn_of_stock_average)  # the config can be read by then
    optimizer.register_load_state_dict_post_hook(_warn_of_stock_average)  # in a run that is resumed
    optimizer.register_step_post_hook(_warn_after_last_update)
    if is_main_process():
        for handler in log.handlers:
            if isinstance(handler, logging.FileHandler):
                write_verdicts(handle, Path(handler.baseFilename).parent)
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


def _warn_after_last_update(optimizer: Optimizer, *_: Any) -> None:
    hub, handle = MessageHub.get_current_instance(), handle_of(optimizer)
    if handle is not None and hub.get_info("iter", -1) + 1 == hub.get_info("max_iters", 0):
        warn_if_idle(handle)


def _warn_of_lost_function(model: nn.Module, _: Handle) -> None:
    if lost := lost_in_loading(model):
        logger.warning(f"{lost} Load with init_cfg=dict(type='NormRegPretrained', checkpoint=...) instead.")


def _warn_of_stock_average(_: object) -> None:
    if uses_stock_ema():
        logger.warning(
            "mmengine's EMAHook evaluates and saves averaged filters with running statistics that do not fit them. "
            "Use type='NormRegEMAHook' instead in custom_hooks: it takes the same arguments and corrects that."
        )
