"""The methods by the names that configs and command lines of every host use, and how to build one from its options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from normreg_plugins.core import AdaptiveWeightShrink, Method, SphereDescent, WeightDecay, WeightRescaling
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods import Hyperball

METHODS: dict[str, type[Method]] = {
    "WD": WeightDecay,
    "WRS": WeightRescaling,
    "AWS": AdaptiveWeightShrink,
    "PGD": SphereDescent,
    "Hyperball": Hyperball,
}


RESERVED = frozenset({"type", "method"})
"""Names that hosts use beside a method's options."""


def register_method(name: str, method: type[Method]) -> None:
    """Make a method known to all hosts under a name. Upper and lower case count as the same.

    A class that is defined again, as when a notebook's cell runs twice, takes the place of the old one.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise NormRegError(f"name={name!r}: must be a word of letters, digits and _, because configs and keys hold it")
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise NormRegError(f"method={method!r}: must be a subclass of normreg_plugins.Method, not an object of one")
    if "__dataclass_fields__" not in vars(method):
        raise NormRegError(f"{method.__name__} must be a dataclass: write @dataclass(frozen=True, repr=False) above it")
    if clashes := RESERVED & {field.name for field in fields(method)}:
        raise NormRegError(f"{method.__name__} has an option {min(clashes)!r}, which hosts use themselves: rename it")
    taken = {known.lower(): known for known in METHODS}.get(name.lower())
    if taken is not None and _identity(METHODS[taken]) != _identity(method):
        raise NormRegError(f"a method named {taken!r} exists already: choose another name than {name!r}")
    METHODS[taken or name] = method


def _identity(method: type[Method]) -> tuple[str, str]:
    return method.__module__, method.__qualname__


def options_of(name: str) -> list[str]:
    """The options that a method of this name has."""
    return [field.name for field in fields(METHODS[name])]


def build_method(name: str, options: Mapping[str, Any]) -> Method:
    """The method of this name with these options."""
    if not isinstance(name, str) or name not in METHODS:
        raise NormRegError(
            f"method {name!r} is unknown: use one of {', '.join(METHODS)}, or import the module that registers it"
        )
    known = options_of(name)
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise NormRegError(f"{name} has no option {option!r}{meant}; it has {', '.join(known)}")
    missing = [field.name for field in fields(METHODS[name]) if _needed(field) and field.name not in options]
    if missing:
        raise NormRegError(f"{name} needs {', '.join(missing)}, which have no default")
    return METHODS[name](**options)


def _needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
