"""The methods by the names that configs and command lines of every host use."""

from __future__ import annotations

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.methods.aws import AdaptiveWeightShrink
from normreg_plugins.core.methods.base import Method
from normreg_plugins.core.methods.pgd import SphereDescent
from normreg_plugins.core.methods.wrs import WeightRescaling

METHODS: dict[str, type[Method]] = {"WRS": WeightRescaling, "AWS": AdaptiveWeightShrink, "PGD": SphereDescent}


def register_method(name: str, method: type[Method]) -> None:
    """Make a method known to all hosts under a name; upper and lower case are not told apart."""
    taken = {known.lower(): known for known in METHODS}
    if name.lower() in taken and METHODS[taken[name.lower()]] is not method:
        raise NormRegError(f"a method named {taken[name.lower()]!r} exists already: choose another name than {name!r}")
    METHODS[name] = method
