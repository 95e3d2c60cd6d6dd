"""A method's weight decay inside the trainer's own parameter groups.

The trainer decays the groups named 'weight' and 'muon', and sets their weight decay again when it changes the batch
size after running out of memory. So the name of a group decides whether its parameters are decayed.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.optim import Optimizer

DECAYED = "weight"
DECAYED_BY_TRAINER = (DECAYED, "muon")


def decay_(optimizer: Optimizer, parameters: Iterable[Tensor]) -> None:
    """Move these parameters to groups that the trainer treats as decayed weights; its own have no norm layers."""
    wanted = {id(p) for p in parameters}
    decayed = {"param_group": DECAYED, "weight_decay": decay_of(optimizer)}
    for group in [g for g in optimizer.param_groups if g.get("param_group") not in DECAYED_BY_TRAINER]:
        rest = [p for p in group["params"] if id(p) not in wanted]
        if not rest:
            group.update(decayed if group["params"] else {})
        elif len(rest) < len(group["params"]):
            ours = [p for p in group["params"] if id(p) in wanted]
            group["params"] = rest
            optimizer.param_groups.append({**group, "params": ours, **decayed})


def decay_of(optimizer: Optimizer) -> float:
    """The weight decay that the trainer's groups of weights have."""
    return float(next(g["weight_decay"] for g in optimizer.param_groups if g.get("param_group") == DECAYED))
