"""Weight decay as the paper has it, inside the trainer's own parameter groups.

The trainer decays the groups named 'weight' and 'muon'. It sets their weight decay again when it changes the batch size
after running out of memory. So the name of a group decides whether its parameters are decayed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.model import is_norm_layer

DECAYED = "weight"
TARGETS = "normreg"


def decay_norms_(optimizer: Optimizer, model: nn.Module) -> None:
    """Move gamma and beta of the norm layers to groups that the trainer treats as decayed weights.

    In the WRS paper's Algorithm 1 norm layers have weight decay. ultralytics gives them none.
    """
    norms = {id(p) for module in model.modules() if is_norm_layer(module) for p in module.parameters(recurse=False)}
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
