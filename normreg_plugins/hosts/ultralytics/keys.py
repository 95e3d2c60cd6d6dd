"""A method in the trainer's own key=value habit: `wrs.interval=10` on a command line, `wrs: {interval: 10}` in YAML."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from normreg_plugins.core import AdaptiveWeightShrink, Method, SphereDescent, WeightRescaling
from normreg_plugins.core.errors import NormRegError

METHODS: dict[str, type[Method]] = {"wrs": WeightRescaling, "aws": AdaptiveWeightShrink, "pgd": SphereDescent}
HOST_OPTIONS = ("select", "decay_norms")
"""Options of `with_method` itself, under the method's name too."""


class MethodKeyError(NormRegError):
    """A key under a method's name that says nothing, or two methods at once."""


def options_of(name: str) -> list[str]:
    return [*(field.name for field in fields(METHODS[name])), *HOST_OPTIONS]


def take_method(settings: dict[str, Any]) -> dict[str, Any] | None:
    """Take our keys out of `settings` and return the arguments of `with_method`; None if there are none.

    Later keys win, so the command line goes behind a file.
    """
    found: dict[str, dict[str, Any]] = {}
    for key in list(settings):
        name, dot, option = key.partition(".")
        if name in METHODS:
            value = settings.pop(key)
            found.setdefault(name, {}).update({option: value} if dot else _as_options(name, value))
    if len(found) > 1:
        raise MethodKeyError(f"{' and '.join(found)}: one run, one method")
    for name, options in found.items():
        _refuse_unknown(name, options)
        ours = {option: options.pop(option) for option in HOST_OPTIONS if option in options}
        return {"method": METHODS[name](**options), **ours}
    return None


def _as_options(name: str, value: Any) -> dict[str, Any]:
    if value is None or value is True:
        return {}
    if isinstance(value, dict):
        return value
    raise MethodKeyError(f"{name}={value!r}: write {name}.OPTION=VALUE, or {name} alone for its defaults")


def _refuse_unknown(name: str, options: dict[str, Any]) -> None:
    known = options_of(name)
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            meant = f"did you mean {name}.{near[0]}?" if near else f"there are {', '.join(known)}"
            raise MethodKeyError(f"{name}.{option}: no such option; {meant}")
