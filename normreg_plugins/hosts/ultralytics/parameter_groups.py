"""A method's weight decay inside the trainer's own parameter groups.

The trainer decays the groups named 'weight' and 'muon', and sets their weight decay again when it changes the batch
size after running out of memory. So the name of a group decides whether its parameters are decayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from torch import Tensor, nn
from torch.optim import Optimizer

from normreg_plugins.core.model import is_norm_layer, layers_of

DECAYED = "weight"
DECAYED_BY_TRAINER = (DECAYED, "muon")
UNDECAYED = "normreg"


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


def keep_undecayed_(optimizer: Optimizer, parameters: Iterable[Tensor]) -> None:
    """Rename groups of decayed weights that have only these parameters, so that the trainer never decays them again."""
    ours = {id(p) for p in parameters}
    for group in optimizer.param_groups:
        decayed = group.get("param_group") in DECAYED_BY_TRAINER
        if decayed and group["params"] and all(id(p) in ours for p in group["params"]):
            group["param_group"] = UNDECAYED


def decayed_counts(optimizer: Optimizer, model: nn.Module, targets: Iterable[Tensor]) -> dict[str, str]:
    """How many parameters of each kind have weight decay: '0 of 24'."""
    kinds = {id(p): "other parameters" for p in model.parameters()}
    kinds |= {id(layer.weight): "other weights" for layer in layers_of(model)}
    kinds |= {id(p): "norm layers" for m in model.modules() if is_norm_layer(m) for p in m.parameters(recurse=False)}
    kinds |= {id(p): "the method's weights" for p in targets}
    every = [(kinds[id(p)], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]]
    total, decayed = Counter(kind for kind, _ in every), Counter(kind for kind, decay in every if decay)
    return {kind: f"{decayed[kind]} of {total[kind]}" for kind in sorted(total)}
