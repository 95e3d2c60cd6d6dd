"""Read a config whose base is one of ours: `_base_ = "normreg_plugins::mini/yolov3_wrs.py"`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

PACKAGE = "normreg_plugins"
MODULE2PACKAGE.setdefault(PACKAGE, PACKAGE)  # mmengine finds configs of the packages in this dict only


def read_config(path: str | Path) -> Config:
    """The config, as `Config.fromfile` reads it, without our package's name as a scope.

    mmengine takes the name before `::` for a scope, in which it looks for every class of the base config. The classes
    of our configs are in mmdet and mmseg, which their `default_scope` names.
    """
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
