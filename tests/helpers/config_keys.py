"""The settings of a config file, as one level of dotted keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def load(name: str) -> dict[str, Any]:
    return pytest.importorskip("mmengine.config").Config.fromfile(CONFIGS / f"{name}.py").to_dict()


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lists, such as pipelines and hooks, count as one value."""
    found = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return found


def changed_keys(mine: str, theirs: str) -> set[str]:
    """The keys in which two configs differ."""
    one, other = flat(load(mine)), flat(load(theirs))
    nothing = object()
    return {key for key in one | other if one.get(key, nothing) != other.get(key, nothing)}
