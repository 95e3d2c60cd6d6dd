"""A method from ultralytics' settings: `wrs.interval=10` on a command line, `wrs: {interval: 10}` in YAML."""

from __future__ import annotations

from typing import Any

from ultralytics.cfg import DEFAULT_CFG_DICT

from normreg_plugins.core import Method
from normreg_plugins.hosts import methods


def method_names() -> dict[str, str]:
    """The name of each method by its name in keys."""
    return methods.key_names(DEFAULT_CFG_DICT)


def keys_of(name: str) -> list[str]:
    """The options that a method has in keys, such as `interval` for `wrs`."""
    return methods.options_of(method_names()[name])


def take_method(settings: dict[str, Any]) -> Method | None:
    """Remove our keys from ultralytics' settings and return the method they describe, or None if there are none."""
    return methods.take_method(settings, DEFAULT_CFG_DICT)
