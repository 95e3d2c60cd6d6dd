"""The settings of a config file, by dotted keys."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def config(name: str) -> Config:
    """A copy of the config that tests may change."""
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> Config:
    """As our commands read it."""
    return pytest.importorskip("normreg_plugins.hosts.mmengine").read_config(CONFIGS / f"{name}.py")


def load(name: str) -> dict[str, Any]:
    return config(name).to_dict()


def at(settings: Any, key: str) -> Any:
    """The value at 'param_scheduler.0.type'."""
    for part in key.split("."):
        settings = settings[int(part)] if part.lstrip("-").isdigit() else settings[part]
    return settings


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
