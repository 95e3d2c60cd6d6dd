"""Notice layers, norm layers and weights that were replaced after a method was attached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from normreg_plugins.core.errors import StructureMismatchError
from normreg_plugins.core.methods import Target
from normreg_plugins.core.model import is_sharded

Place = tuple[dict[str, Any], str, Any]
"""A dictionary of a module, a key, and what is stored there."""


def places_of(model: nn.Module, targets: Sequence[Target]) -> list[Place]:
    """Where the model stores the weights of targets, their layers and norm layers, and the modules around these."""
    needed = {id(target.layer.module) for target in targets}
    needed |= {id(reader.norm) for target in targets for reader in target.report.readers}
    places: list[Place] = [
        (t.layer.module._parameters, _key(t), t.weight)
        for t in targets
        if not is_sharded(t.weight)  # FSDP2 puts gathered tensors in the place of shards
    ]

    def leads_there(module: nn.Module) -> bool:
        found = [(key, child) for key, child in module._modules.items() if child is not None and leads_there(child)]
        places.extend((module._modules, key, child) for key, child in found)
        return bool(found) or id(module) in needed

    leads_there(model)
    return places


def refuse_replaced(model: nn.Module, targets: Sequence[Target]) -> None:
    """Raises if a target, its layer or one of its norm layers is no longer part of the model."""
    present = {id(module) for module in model.modules()}
    for target in targets:
        if problem := _problem(target, present):
            raise StructureMismatchError(f"{target.name}: {problem}.")


def _problem(target: Target, present: set[int]) -> str:
    """What was replaced, and what to do; '' if nothing was."""
    layer = target.layer
    if id(layer.module) not in present:
        return (
            "its layer was replaced after attach. Replace layers first, then create the optimizer and attach; or "
            "detach(), change the optimizer, and attach again, which keeps the count of updates"
        )
    stored = layer.module._parameters.get(_key(target))
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


def _key(target: Target) -> str:
    return target.name.rpartition(".")[2]
