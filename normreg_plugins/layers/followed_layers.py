"""Which layers a conversion treats: those that a norm layer follows, without those that the user wants to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.verdicts import WeightReport, find
from normreg_plugins.layers.conversion_errors import ConversionError

Forward = Callable[[nn.Module], Any]


def followed_layers(
    model: nn.Module,
    forward: Forward,
    keep: Sequence[str],
    obstacle: Callable[[WeightReport], str | None],
    problems: Mapping[str, str] | None = None,
) -> list[WeightReport]:
    """What core found out about each layer that a norm layer follows. Any obstacle is an error.

    A layer is also kept if `keep` names its norm layer. A layer that `forward` never called is a problem, because
    nothing is known about it.

    Args:
        obstacle: says why a layer cannot be treated, or None.
        problems: reasons that the caller has found already, by name.
    """
    kept = kept_names(model, keep)
    problems = dict(problems or {})
    chosen = []
    for report in find(model, forward):
        name = report.layer.module_name
        norms = [read.name for read in report.readers]
        if kept.intersection([name, *norms]) or (report.traced and not norms):
            continue
        if why := obstacle(report) if report.traced else report.reason:
            problems[name] = why
        chosen.append(report)
    if problems:
        raise ConversionError("conversion", problems)
    if not chosen:
        raise SelectionError(f"{type(model).__name__} has no layer that a norm layer follows")
    return chosen


def kept_names(model: nn.Module, keep: Sequence[str]) -> set[str]:
    """The modules that `keep` names by itself or by a pattern. An entry that matches nothing is an error."""
    names = [name for name, _ in model.named_modules()]
    kept = {pattern: {n for n in names if fnmatchcase(n, pattern)} for pattern in keep}
    for pattern, found in kept.items():
        if not found:
            raise SelectionError(f"keep={pattern!r} matches no module of {type(model).__name__}")
    return set().union(*kept.values())
