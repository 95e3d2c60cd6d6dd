"""mmengine's configs: with one of ours as base, and the one that the current run was started with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.hooks import EMAHook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.utils import is_installed

from normreg_plugins.core.errors import AttachError

PACKAGE = "normreg_plugins"
MODULE2PACKAGE.setdefault(PACKAGE, PACKAGE)  # mmengine finds configs of the packages in this dict only


def read_config(path: str | Path) -> Config:
    """The config, as `Config.fromfile` reads it, without our package's name as a scope.

    A base such as `_base_ = "normreg_plugins::mini/yolov3_wrs.py"` makes mmengine look for every class of the base
    config in the scope `normreg_plugins`. The classes of our configs are in mmdet and mmseg, which their
    `default_scope` names. A base such as `"mmseg::..."` is found in every distribution of mmseg.
    """
    if not is_installed(MODULE2PACKAGE["mmseg"]):  # the maintained distribution is onedl-mmsegmentation
        MODULE2PACKAGE["mmseg"] = "mmseg"
    config = Config.fromfile(path)
    _leave_scope(config._cfg_dict)
    return config


def _leave_scope(value: Any) -> None:
    if isinstance(value, dict):
        if value.get("_scope_") == PACKAGE:
            del value["_scope_"]
        for each in value.values():
            _leave_scope(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _leave_scope(each)


def current_config() -> Config:
    """The config of the current run, from the moment the runner calls its hooks; before that an empty one."""
    try:
        return Config.fromstring(MessageHub.get_current_instance().get_info("cfg", ""), ".py")
    except NameError:  # mmengine writes float("inf") as inf
        return Config()


def uses_stock_ema() -> bool:
    hooks = current_config().get("custom_hooks") or []
    return any(HOOKS.get(hook["type"]) is EMAHook for hook in hooks if isinstance(hook.get("type"), str))


def updates_per_epoch(wrapper: OptimWrapper) -> Callable[[], float]:
    """A function that returns the updates of an epoch once training runs: a fraction if gradients are accumulated."""

    def ask() -> float:
        hub = MessageHub.get_current_instance()
        epochs, iterations = hub.get_info("max_epochs"), hub.get_info("max_iters")
        if not epochs or not _counts_epochs(epochs):
            raise AttachError(
                f"the method's phase is in epochs, but this loop only counts iterations ({iterations}): give begin and "
                "end in updates (unit='update')"
            )
        return iterations / epochs / wrapper._accumulative_counts

    return ask


def _counts_epochs(epochs: int) -> bool:
    """An iteration-based loop reports one epoch, so the config decides for a single epoch."""
    loop = current_config().get("train_cfg") or {}
    return epochs > 1 or bool(loop.get("by_epoch")) or loop.get("type") == "EpochBasedTrainLoop"
