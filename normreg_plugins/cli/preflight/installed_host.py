"""Is the library that a config is written for installed?"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from normreg_plugins.cli.preflight.problem import Problem

EXTRAS = {"mmdet": "mm", "mmseg": "mm", "mmpretrain": "mmpretrain"}
"""The extra that brings the library of each scope."""


def host_problems(cfg: Mapping[str, Any]) -> list[Problem]:
    """One problem if `default_scope` names a library that cannot be imported."""
    scope = cfg.get("default_scope")
    if scope not in EXTRAS or find_spec(scope) is not None:
        return []
    extra = EXTRAS[scope]
    get = f'pip install ".[{extra}]", or ".[{extra}-classic]" beside mmcv 2.1: docs/installation.md'
    return [Problem(f"{scope} is not installed", get, ())]
