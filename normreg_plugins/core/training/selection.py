"""Select the weights a method acts on: those it takes by itself, or those that are named."""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.errors import SelectionError, TrainingLoopWarning
from normreg_plugins.core.methods import Method, Target
from normreg_plugins.core.model import NotScalable, Per, filters_of
from normreg_plugins.core.options import check_names
from normreg_plugins.core.verdicts import Kind, WeightReport


class Selection(NamedTuple):
    """The weights a method acts on, out of all, and why not on the others."""

    reports: Sequence[WeightReport]
    targets: list[Target]
    """Those that are not trained yet, too."""
    left_alone: dict[str, str]
    """The name of each weight that is no target, with the reason."""


def held_by(optimizer: Optimizer) -> set[int]:
    """The ids of the parameters that an optimizer holds."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def waits_for(weight: Tensor, held: set[int]) -> str:
    """Why a weight is not trained now; '' if it is."""
    if not weight.requires_grad:
        return "frozen: requires_grad is False; taken when it is unfrozen"
    return "" if id(weight) in held else "not updated: this optimizer does not hold it; taken when it is added"


def select_targets(reports: Sequence[WeightReport], method: Method, optimizer: Optimizer) -> Selection:
    """Select the weights that `method.select` names (by weight or module, patterns included), else what it takes."""
    named = None if method.select is None else check_names("select", method.select)
    wanted = method.takes(reports) if named is None else _matching(reports, named)
    wanted += [report for report in _matching(reports, method.output_layers) if report not in wanted]
    why_not = {report: _obstacle(report, method) for report in wanted}
    targets = [_target(report, method.per) for report in reports if why_not.get(report) == ""]
    left = {f.layer.name: why_not.get(f) or f"{f.kind}: {f.reason}" for f in reports if why_not.get(f) != ""}
    held = held_by(optimizer)
    waits = {report: why or waits_for(report.layer.weight, held) for report, why in why_not.items()}
    usable = [r for r, why in why_not.items() if not why and (not waits[r] or not r.layer.weight.requires_grad)]
    for pattern in (*(named or ()), *method.output_layers):
        _require_one_usable(pattern, [(f, why) for f, why in waits.items() if _matches(pattern, f)], usable)
    if not usable:
        others = "Attach to the optimizer that holds them, or name others with select=."
        traced = "Name weights with select=, or pass forward= to trace a forward."
        raise SelectionError(f"{_nothing(reports, method, waits)} {others if any(waits.values()) else traced}")
    if all(waits.values()):
        later = "Nothing happens until some of the frozen weights are unfrozen; select= names others."
        warnings.warn(f"{_nothing(reports, method, waits)} {later}", TrainingLoopWarning, stacklevel=3)
    return Selection(reports, targets, left)


def _target(report: WeightReport, per: Per) -> Target:
    """A target, divided as `per` says. Filters that share one statistic of a norm layer form one part."""
    groups = {reader.groups for reader in report.readers}
    if report.kind is Kind.PER_GROUP:
        per = "group" if len(groups) == 1 else "layer"
    elif report.kind is Kind.PER_LAYER:
        per = "layer"
    module = report.layer.module
    return Target(report, filters_of(module, per, max(groups, default=1)), filters_of(module))


def _matches(pattern: str, report: WeightReport) -> bool:
    return fnmatchcase(report.layer.name, pattern) or fnmatchcase(report.layer.module_name, pattern)


def _matching(reports: Sequence[WeightReport], patterns: Sequence[str]) -> list[WeightReport]:
    for pattern in patterns:
        if not any(_matches(pattern, report) for report in reports):
            names = [report.layer.module_name for report in reports]
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            raise SelectionError(f"{pattern!r} matches none of {len(names)} conv/linear weights; such as {near}")
    return [report for report in reports if any(_matches(pattern, report) for pattern in patterns)]


def _obstacle(report: WeightReport, method: Method) -> str:
    """Why a wanted weight can never be taken; '' if it can."""
    if report.layer.not_scalable is NotScalable.PARAMETRIZED:
        return str(report.layer.not_scalable)
    return method.objection(report)


def _require_one_usable(pattern: str, found: list[tuple[WeightReport, str]], usable: list[WeightReport]) -> None:
    if not any(report in usable for report, _ in found):
        report, why = found[0]
        raise SelectionError(f"{pattern!r} names nothing that can be taken: {report.layer.name} is {why}")


def _nothing(reports: Sequence[WeightReport], method: Method, why_not: dict[WeightReport, str]) -> str:
    reasons = [*filter(None, why_not.values()), *(f"{r.kind}: {r.reason}" for r in reports if r not in why_not)]
    listed = "; ".join(f"{count} x {reason}" for reason, count in Counter(reasons).most_common(3))
    return f"{method!r} finds no weight to act on among {len(reports)} conv/linear weights ({listed})."
