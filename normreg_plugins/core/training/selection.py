"""Select the weights a method acts on: those it takes by itself, or those that are named."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch.optim import Optimizer

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.methods import Method, Target
from normreg_plugins.core.model import NotScalable, Per, filters_of
from normreg_plugins.core.options import check_names
from normreg_plugins.core.verdicts import Kind, WeightReport


class Selection(NamedTuple):
    """The weights a method acts on, out of all, and why not on the others."""

    reports: Sequence[WeightReport]
    targets: Sequence[Target]
    left_alone: dict[str, str]
    """The name of each weight that is no target, with the reason."""


def select_targets(reports: Sequence[WeightReport], method: Method, optimizer: Optimizer) -> Selection:
    """Select the weights that `method.select` names (by weight or module, patterns included), else what it takes."""
    named = None if method.select is None else check_names("select", method.select)
    wanted = method.takes(reports) if named is None else _matching(reports, named)
    wanted += [report for report in _matching(reports, method.output_layers) if report not in wanted]
    updated = {id(p) for group in optimizer.param_groups for p in group["params"]}
    why_not = {report: _obstacle(report, method, updated) for report in wanted}
    for pattern in (*(named or ()), *method.output_layers):
        _require_one_usable(pattern, [(f, why) for f, why in why_not.items() if _matches(pattern, f)])
    targets = [_target(report, method.per) for report in reports if why_not.get(report) == ""]
    if not targets:
        raise SelectionError(_nothing_selected(reports, method, why_not))
    left = {f.layer.name: why_not.get(f) or f"{f.kind}: {f.reason}" for f in reports if why_not.get(f) != ""}
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


def _obstacle(report: WeightReport, method: Method, updated: set[int]) -> str:
    """Why a wanted weight cannot be taken; '' if it can."""
    layer = report.layer
    if layer.not_scalable is NotScalable.PARAMETRIZED:
        return str(layer.not_scalable)
    if not layer.weight.requires_grad:
        return "frozen: requires_grad is False"
    if id(layer.weight) not in updated:
        return "not updated: this optimizer does not hold it"
    return method.objection(report)


def _require_one_usable(pattern: str, found: list[tuple[WeightReport, str]]) -> None:
    if all(why for _, why in found):
        report, why = found[0]
        raise SelectionError(f"{pattern!r} names nothing that can be taken: {report.layer.name} is {why}")


def _nothing_selected(reports: Sequence[WeightReport], method: Method, why_not: dict[WeightReport, str]) -> str:
    reasons = [*filter(None, why_not.values()), *(f"{r.kind}: {r.reason}" for r in reports if r not in why_not)]
    listed = "; ".join(f"{count} x {reason}" for reason, count in Counter(reasons).most_common(3))
    forward = "Name weights with select=, or pass forward= to trace a forward."
    frozen = "Unfreeze some of the weights that it could take before you attach, or name others with select=."
    return (
        f"{method!r} finds no weight to act on among {len(reports)} conv/linear weights ({listed}). "
        f"{frozen if any(why_not.values()) else forward}"
    )
