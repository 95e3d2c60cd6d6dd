"""A method from its place in a config: `regularizer=dict(type="WRS", interval=10)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normreg_plugins.core import Method
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.method_names import build_method


def build_regularizer(config: Mapping[str, Any] | None) -> Method:
    if not isinstance(config, Mapping) or "type" not in config:
        raise NormRegError(f"regularizer={config!r}: must be a dict with a type, such as dict(type='WRS', interval=10)")
    options = dict(config)
    return build_method(options.pop("type"), options)
