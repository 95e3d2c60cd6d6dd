"""Choose the weights a method acts on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch.optim import Optimizer

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.core.methods import Method
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.targets import Target, target_of


class Choice(NamedTuple):
    """The weights a method acts on, out of all, and why not on the others."""

    claims: Sequence[Claim]
    targets: Sequence[Target]
    left_alone: dict[str, str]
    """The name of each weight that is no target, with the reason."""


def choose(claims: Sequence[Claim], method: Method, select: str | Iterable[str] | None, optimizer: Optimizer) -> Choice:
    """Choose the targets of a method.

    Args:
        select: names or patterns (`fnmatch`) of weights or of the modules that own them; replaces the method's choice.
    """
    named = _as_patterns(select)
    wanted = method.default_claims(claims) if named is None else _matching(claims, named)
    wanted += [claim for claim in _matching(claims, method.named_outputs) if claim not in wanted]
    updated = {id(p) for group in optimizer.param_groups for p in group["params"]}
    why_not = {claim: _obstacle(claim, method, updated) for claim in wanted}
    for pattern in (*(named or ()), *method.named_outputs):
        _require_one_usable(pattern, [(c, why) for c, why in why_not.items() if _matches(pattern, c)])
    targets = [target_of(claim, method.measured) for claim in claims if why_not.get(claim) == ""]
    if not targets:
        raise SelectionError(_nothing_chosen(claims, method, why_not))
    left = {c.layer.name: why_not.get(c) or f"{c.kind}: {c.reason}" for c in claims if why_not.get(c) != ""}
    return Choice(claims, targets, left)


def _as_patterns(select: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if select is None:
        return None
    return (select,) if isinstance(select, str) else tuple(select)


def _matches(pattern: str, claim: Claim) -> bool:
    return fnmatchcase(claim.layer.name, pattern) or fnmatchcase(claim.layer.module_name, pattern)


def _matching(claims: Sequence[Claim], patterns: Sequence[str]) -> list[Claim]:
    for pattern in patterns:
        if not any(_matches(pattern, claim) for claim in claims):
            names = [claim.layer.module_name for claim in claims]
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            raise SelectionError(f"{pattern!r} matches none of {len(names)} conv/linear weights; such as {near}")
    return [claim for claim in claims if any(_matches(pattern, claim) for pattern in patterns)]


def _obstacle(claim: Claim, method: Method, updated: set[int]) -> str:
    """Why a wanted weight cannot be taken; '' if it can."""
    layer = claim.layer
    if layer.spoiled.startswith("parametrized"):
        return layer.spoiled
    if not layer.weight.requires_grad:
        return "frozen: requires_grad is False"
    if id(layer.weight) not in updated:
        return "not updated: this optimizer does not hold it"
    return method.objection(claim)


def _require_one_usable(pattern: str, found: list[tuple[Claim, str]]) -> None:
    if all(why for _, why in found):
        claim, why = found[0]
        raise SelectionError(f"{pattern!r} names nothing that can be taken: {claim.layer.name} is {why}")


def _nothing_chosen(claims: Sequence[Claim], method: Method, why_not: dict[Claim, str]) -> str:
    reasons = list(dict.fromkeys(filter(None, why_not.values()))) or list(
        dict.fromkeys(f"{c.kind}: {c.reason}" for c in claims)
    )
    return (
        f"{method!r} finds no weight to act on among {len(claims)} conv/linear weights ({'; '.join(reasons[:3])}). "
        "Name weights with select=, or pass forward= so that the model is looked at while it runs."
    )
