"""Check the options of methods. An error names the option, its value and what it must be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from normreg_plugins.core.errors import NormRegError


def require(holds: bool, name: str, value: Any, wanted: str) -> None:
    if not holds:
        raise NormRegError(f"{name}={value!r}: must be {wanted}")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_names(option: str, value: Any) -> tuple[str, ...]:
    """A tuple of names; a lone string is one name, not many letters."""
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    require(all(isinstance(name, str) and name for name in found), option, value, "names of layers or weights")
    return found


def check_phase(begin: Any, end: Any, unit: Any) -> None:
    require(is_count(begin, 0), "begin", begin, "a whole number, 0 or more")
    require(
        end is None or (is_count(end, 1) and end > begin), "end", end, f"None or a whole number above begin={begin}"
    )
    require(unit in ("update", "epoch"), "unit", unit, "'update' or 'epoch'")
