"""Weight decay as the paper has it, inside the trainer's own parameter groups.

The trainer decays what is in its groups called 'weight' and 'muon', and sets their weight decay anew when it changes
the batch size after running out of memory. So whether a parameter is decayed is decided by the name of its group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.parts import is_norm

DECAYED = "weight"
TARGETS = "normreg"


def decay_norms_(optimizer: Optimizer, model: nn.Module) -> None:
    """Move the norms' gamma and beta to groups that the trainer treats as decayed weights.

    WRS paper, Algorithm 1: norm layers keep their weight decay; ultralytics gives them none.
    """
    norms = {id(p) for module in model.modules() if is_norm(module) for p in module.parameters(recurse=False)}
    decayed = {"param_group": DECAYED, "weight_decay": decay_of(optimizer)}
    for group in list(optimizer.param_groups):
        rest = [p for p in group["params"] if id(p) not in norms]
        if not rest:
            group.update(decayed if group["params"] else {})
        elif len(rest) < len(group["params"]):
            ours = [p for p in group["params"] if id(p) in norms]
            group["params"] = rest
            optimizer.param_groups.append({**group, "params": ours, **decayed})


def decay_of(optimizer: Optimizer) -> float:
    """The weight decay that the trainer's groups of weights have."""
    return float(next(g["weight_decay"] for g in optimizer.param_groups if g.get("param_group") == DECAYED))


def keep_undecayed_(optimizer: Optimizer, targets: Iterable[Tensor]) -> None:
    """Rename groups that hold nothing but targets, so that the trainer never decays them again."""
    ours = {id(target) for target in targets}
    for group in optimizer.param_groups:
        if group["params"] and all(id(p) in ours for p in group["params"]):
            group["param_group"] = TARGETS


def group_sizes(state: dict[str, Any]) -> list[int]:
    """How many parameters each group of an optimizer's state holds."""
    return [len(group["params"]) for group in state["param_groups"]]
