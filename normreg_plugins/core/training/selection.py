"""Select the weights a method acts on: those it takes by itself, or those that are named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch.optim import Optimizer

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.methods import Method, Target
from normreg_plugins.core.model import Per, Untouchable, filters_of
from normreg_plugins.core.options import check_names
from normreg_plugins.core.verdicts import Finding, Kind


class Selection(NamedTuple):
    """The weights a method acts on, out of all, and why not on the others."""

    findings: Sequence[Finding]
    targets: Sequence[Target]
    left_alone: dict[str, str]
    """The name of each weight that is no target, with the reason."""


def select_targets(findings: Sequence[Finding], method: Method, optimizer: Optimizer) -> Selection:
    """Select the weights that `method.select` names (by weight or module, patterns included), else what it takes."""
    named = None if method.select is None else check_names("select", method.select)
    wanted = method.takes(findings) if named is None else _matching(findings, named)
    wanted += [finding for finding in _matching(findings, method.output_layers) if finding not in wanted]
    updated = {id(p) for group in optimizer.param_groups for p in group["params"]}
    why_not = {finding: _obstacle(finding, method, updated) for finding in wanted}
    for pattern in (*(named or ()), *method.output_layers):
        _require_one_usable(pattern, [(f, why) for f, why in why_not.items() if _matches(pattern, f)])
    targets = [_target(finding, method.per) for finding in findings if why_not.get(finding) == ""]
    if not targets:
        raise SelectionError(_nothing_selected(findings, method, why_not))
    left = {f.layer.name: why_not.get(f) or f"{f.kind}: {f.reason}" for f in findings if why_not.get(f) != ""}
    return Selection(findings, targets, left)


def _target(finding: Finding, per: Per) -> Target:
    """A target, divided as `per` says. Filters of which a norm layer computes one statistic form one part."""
    groups = {reader.groups for reader in finding.readers}
    if finding.kind is Kind.PER_GROUP:
        per = "group" if len(groups) == 1 else "layer"
    elif finding.kind is Kind.PER_LAYER:
        per = "layer"
    module = finding.layer.module
    return Target(finding.layer, filters_of(module, per, max(groups, default=1)), filters_of(module), finding=finding)


def _matches(pattern: str, finding: Finding) -> bool:
    return fnmatchcase(finding.layer.name, pattern) or fnmatchcase(finding.layer.module_name, pattern)


def _matching(findings: Sequence[Finding], patterns: Sequence[str]) -> list[Finding]:
    for pattern in patterns:
        if not any(_matches(pattern, finding) for finding in findings):
            names = [finding.layer.module_name for finding in findings]
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            raise SelectionError(f"{pattern!r} matches none of {len(names)} conv/linear weights; such as {near}")
    return [finding for finding in findings if any(_matches(pattern, finding) for pattern in patterns)]


def _obstacle(finding: Finding, method: Method, updated: set[int]) -> str:
    """Why a wanted weight cannot be taken; '' if it can."""
    layer = finding.layer
    if layer.untouchable is Untouchable.PARAMETRIZED:
        return str(layer.untouchable)
    if not layer.weight.requires_grad:
        return "frozen: requires_grad is False"
    if id(layer.weight) not in updated:
        return "not updated: this optimizer does not hold it"
    return method.objection(finding)


def _require_one_usable(pattern: str, found: list[tuple[Finding, str]]) -> None:
    if all(why for _, why in found):
        finding, why = found[0]
        raise SelectionError(f"{pattern!r} names nothing that can be taken: {finding.layer.name} is {why}")


def _nothing_selected(findings: Sequence[Finding], method: Method, why_not: dict[Finding, str]) -> str:
    obstacles = dict.fromkeys(filter(None, why_not.values()))
    reasons = list(obstacles) or list(dict.fromkeys(f"{f.kind}: {f.reason}" for f in findings))
    return (
        f"{method!r} finds no weight to act on among {len(findings)} conv/linear weights ({'; '.join(reasons[:3])}). "
        "Name weights with select=, or pass forward= so that the model is watched while it runs."
    )
