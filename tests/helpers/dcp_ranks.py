"""Save and load with torch's distributed checkpoints (DCP) in one rank of several. Ranks import it by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from helpers.training import tiny_net, train
from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core import Handle, Method

HALF = 3  # no multiple of WRS's interval
METHODS = {
    "WRS": WeightRescaling(interval=4),
    "WRS initial": WeightRescaling(interval=2, radius="initial"),
    "AWS": AdaptiveWeightShrink(alpha=0.2),
    "PGD": SphereDescent(),
}
OPTIMIZERS = {
    "SGD": lambda p: SGD(p, lr=0.1, weight_decay=1e-3),  # has no state of its own
    "momentum": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "AdamW": lambda p: AdamW(p, lr=1e-2),
}
FORMS: dict[str, dict[str, bool]] = {"": {}, "flat": {"flatten_optimizer_state_dict": True}}


def with_dcp(rank: int, folder: Path) -> None:
    """Half a run, a checkpoint, and the other half twice: as it goes on, and resumed from the checkpoint."""
    for method_name, method in METHODS.items():
        for optimizer_name in OPTIMIZERS:
            for form, options in FORMS.items():
                name = f"{method_name} {optimizer_name} {form}".strip()
                first = begun(method, optimizer_name, 0)
                train(first[0], first[1], HALF)
                if optimizer_name == "SGD":
                    first[1].zero_grad()  # torch takes an optimizer without state and gradients for a new one
                save(*first[:2], folder / name, options)
                resumed = begun(method, optimizer_name, 7)
                load(*resumed[:2], folder / name, options)
                found = {"loaded": resumed[2].updates}
                for net, optimizer, _ in (first, resumed):
                    train(net, optimizer, HALF, first=HALF)
                found |= {"ends": [all_of(*each) for each in (first, resumed)]}
                if rank == 0:
                    torch.save(found, folder / f"{name}.pt")


def begun(method: Method, optimizer: str, seed: int) -> tuple[nn.Module, Optimizer, Handle]:
    from torch.distributed.fsdp import fully_shard

    net = tiny_net(seed)
    fully_shard(net[3])
    fully_shard(net)
    made = OPTIMIZERS[optimizer](net.parameters())
    return net, made, attach(made, net, method)


def state_of(net: nn.Module, optimizer: Optimizer, options: dict[str, bool]) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    model, optim = get_state_dict(net, optimizer, options=StateDictOptions(**options))
    return {"model": model, "optim": optim}


def save(net: nn.Module, optimizer: Optimizer, folder: Path, options: dict[str, bool]) -> None:
    dcp.save(state_of(net, optimizer, options), checkpoint_id=folder)


def load(net: nn.Module, optimizer: Optimizer, folder: Path, options: dict[str, bool]) -> None:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    state = state_of(net, optimizer, options)
    dcp.load(state, checkpoint_id=folder)
    set_state_dict(
        net,
        optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optim"],
        options=StateDictOptions(**options),
    )


def all_of(net: nn.Module, optimizer: Optimizer, handle: Handle) -> dict[str, Any]:
    """Weights, statistics, the optimizer's state and what is kept of each weight, in one piece."""
    whole = state_of(net, optimizer, {"full_state_dict": True})
    assert handle.updates == 2 * HALF
    return {key: value for key, value in _leaves("", whole).items() if isinstance(value, Tensor | int)}


def _leaves(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | list):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: leaf for part, inner in items for key, leaf in _leaves(f"{name}/{part}", inner).items()}
