"""The methods by name, for configs: `regularizer=dict(type="WRS", interval=10)`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.registry import Registry

from normreg_plugins.core import AdaptiveWeightShrink, Method, SphereDescent, WeightRescaling
from normreg_plugins.core.errors import NormRegError

# A registry of our own: mmcv's ConvAWS, adaptive weight *standardization*, is something else.
REGULARIZERS = Registry("regularizer", locations=["normreg_plugins.hosts.mmengine"])
REGULARIZERS.register_module("WRS", module=WeightRescaling)
REGULARIZERS.register_module("AWS", module=AdaptiveWeightShrink)
REGULARIZERS.register_module("PGD", module=SphereDescent)


def build_regularizer(config: Mapping[str, Any] | None) -> tuple[Method, Any]:
    """A method from its config, and what `select` names in it (None: the method chooses)."""
    if not isinstance(config, Mapping) or "type" not in config:
        raise NormRegError(f"regularizer={config!r}: must be a dict with a type, such as dict(type='WRS', interval=10)")
    options = dict(config)
    select = options.pop("select", None)
    name = options.pop("type")
    method = REGULARIZERS.get(name)
    if method is None:
        raise NormRegError(f"regularizer type={name!r} is unknown: use one of {', '.join(REGULARIZERS.module_dict)}")
    known = inspect.signature(method).parameters
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise NormRegError(f"{name} has no option {option!r}{meant}; it has {', '.join(known)} and select")
    return method(**options), select
