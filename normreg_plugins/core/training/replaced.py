"""Notice layers, norm layers and weights that were replaced or added after a method was attached."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence

from torch import nn
from torch.optim import Optimizer

from normreg_plugins.core.errors import StructureMismatchError, TrainingLoopWarning
from normreg_plugins.core.methods import Method, Target
from normreg_plugins.core.model import is_sharded
from normreg_plugins.core.training.selection import held_by, waits_for
from normreg_plugins.core.verdicts import find


def refuse_replaced(model: nn.Module, targets: Sequence[Target]) -> None:
    """Raises if a target, its layer or one of its norm layers is no longer part of the model."""
    present = {id(module) for module in model.modules()}
    for target in targets:
        if problem := _problem(target, present):
            raise StructureMismatchError(f"{target.name}: {problem}.")


def warn_of_added(
    model: nn.Module, optimizer: Optimizer, method: Method, targets: Sequence[Target], left_alone: Collection[str]
) -> None:
    """Warns of weights that the method would take, by structure, but does not know."""
    if method.select is not None:
        return
    known, held = {id(target.weight) for target in targets}, held_by(optimizer)
    added = [
        report.layer.name
        for report in method.takes(find(model))
        if id(report.layer.weight) not in known
        and report.layer.name not in left_alone
        and not waits_for(report.layer.weight, held)
    ]
    if added:
        warnings.warn(
            f"{', '.join(added)}: added to the model after attach, so {method!r} does not act on it. detach() and "
            "attach again to take it, which keeps the count of updates.",
            TrainingLoopWarning,
            stacklevel=2,
        )


def _problem(target: Target, present: set[int]) -> str:
    """What was replaced, and what to do; '' if nothing was."""
    layer = target.layer
    if id(layer.module) not in present:
        return (
            "its layer was replaced after attach. Replace layers first, then create the optimizer and attach; or "
            "detach(), change the optimizer, and attach again, which keeps the count of updates"
        )
    stored = layer.module._parameters.get("weight")
    if stored is None:
        return (
            "its layer was pruned or parametrized after attach. detach() and attach again, which leaves it alone and "
            "keeps the count of updates"
        )
    if stored is not target.weight and not is_sharded(target.weight):
        return (
            "its layer has another tensor now than the optimizer updates, as after load_state_dict(assign=True). "
            "Create the optimizer from the new parameters, and attach to that"
        )
    gone = [reader.name for reader in target.report.readers if id(reader.norm) not in present]
    if gone:
        return (
            f"its norm layer {gone[0]} was replaced after attach, so a rescale would correct statistics that the model "
            "no longer uses. detach() and attach again, which keeps the count of updates"
        )
    return ""
