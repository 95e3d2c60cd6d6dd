"""A method from keys as ultralytics has them: `wrs.interval=10` on a command line, `wrs: {interval: 10}` in YAML."""

from __future__ import annotations

from typing import Any

from ultralytics.cfg import DEFAULT_CFG_DICT

from normreg_plugins.core import Method
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.method_names import METHODS, build_method, options_of


class MethodKeyError(NormRegError):
    """A method's name without an option, or two methods at once."""


def method_names() -> dict[str, str]:
    """The name of each method, by the name that it has in keys."""
    names = {name.lower(): name for name in METHODS}
    for taken in names.keys() & DEFAULT_CFG_DICT.keys():
        raise MethodKeyError(f"{names[taken]} cannot be a method's name here: ultralytics has a key {taken!r}")
    return names


def keys_of(name: str) -> list[str]:
    """The options that may stand under a method's name."""
    return options_of(method_names()[name])


def take_method(settings: dict[str, Any]) -> Method | None:
    """Take our keys out of `settings` and return the method they describe; None if there are none.

    Later keys win, so the command line goes behind a file.
    """
    names = method_names()
    found: dict[str, dict[str, Any]] = {}
    for key in list(settings):
        name, dot, option = key.partition(".")
        if name in names:
            value = settings.pop(key)
            found.setdefault(name, {}).update({option: value} if dot else _as_options(name, value))
    if len(found) > 1:
        raise MethodKeyError(f"{' and '.join(found)}: one run, one method")
    for name, options in found.items():
        return build_method(names[name], options)
    return None


def _as_options(name: str, value: Any) -> dict[str, Any]:
    if value is None or value is True:
        return {}
    if isinstance(value, dict):
        return value
    raise MethodKeyError(f"{name}={value!r}: write {name}.OPTION=VALUE, or {name} alone for its defaults")
