"""The methods by the names that configs and command lines of every host use, and how to build one from its options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from normreg_plugins.core import AdaptiveWeightShrink, Method, SphereDescent, WeightDecay, WeightRescaling
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.more_methods import Hyperball

METHODS: dict[str, type[Method]] = {
    "WD": WeightDecay,
    "WRS": WeightRescaling,
    "AWS": AdaptiveWeightShrink,
    "PGD": SphereDescent,
    "Hyperball": Hyperball,
}


def register_method(name: str, method: type[Method]) -> None:
    """Make a method known to all hosts under a name. Upper and lower case count as the same."""
    taken = {known.lower(): known for known in METHODS}.get(name.lower())
    if taken is not None and METHODS[taken] is not method:
        raise NormRegError(f"a method named {taken!r} exists already: choose another name than {name!r}")
    METHODS[name] = method


def options_of(name: str) -> list[str]:
    """The options that a method of this name has."""
    return [field.name for field in fields(METHODS[name])]


def build_method(name: str, options: Mapping[str, Any]) -> Method:
    """The method of this name with these options."""
    if name not in METHODS:
        raise NormRegError(f"method {name!r} is unknown: use one of {', '.join(METHODS)}")
    known = options_of(name)
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise NormRegError(f"{name} has no option {option!r}{meant}; it has {', '.join(known)}")
    return METHODS[name](**options)
