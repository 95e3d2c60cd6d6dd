"""torch's distributed checkpoints (DCP) of sharded models carry the update count and the norms at the start."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
import torch.distributed.fsdp
from helpers.processes import on_ranks
from helpers.training import Run, attached, same_state, tiny_net, train
from torch import Tensor
from torch.optim import SGD, AdamW

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach

pytestmark = pytest.mark.slow  # ranks are processes
HAS_FSDP2 = hasattr(torch.distributed.fsdp, "fully_shard")
needs_fsdp2 = pytest.mark.skipif(not HAS_FSDP2, reason="torch.distributed.fsdp.fully_shard: torch >= 2.6")

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
RUNS = [
    ("WRS", "SGD", ""),
    ("WRS", "AdamW", "flat"),
    ("WRS initial", "momentum", ""),
    ("WRS initial", "SGD", "flat"),
    ("AWS", "AdamW", ""),
    ("PGD", "momentum", "flat"),
]
FORMS: dict[str, dict[str, bool]] = {"": {}, "flat": {"flatten_optimizer_state_dict": True}}


def with_dcp(_rank: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {" ".join(run): halves(*run, folder / str(place)) for place, run in enumerate(RUNS)}


def halves(method: str, optimizer: str, form: str, folder: Path) -> list[dict[str, Any]]:
    """Half a run, a checkpoint, and the other half twice: as it goes on, and resumed from the checkpoint."""
    first = begun(method, optimizer, 0)
    train(first.net, first.optimizer, HALF)
    if optimizer == "SGD":
        first.optimizer.zero_grad()  # torch takes an optimizer without state and gradients for a new one
    save(first, folder, FORMS[form])
    resumed = begun(method, optimizer, 7)
    load(resumed, folder, FORMS[form])
    assert resumed.handle.updates == HALF
    for run in (first, resumed):
        train(run.net, run.optimizer, HALF, first=HALF)
    return [all_of(run) for run in (first, resumed)]


def begun(method: str, optimizer: str, seed: int) -> Run:
    net = tiny_net(seed)
    torch.distributed.fsdp.fully_shard(net[3])
    torch.distributed.fsdp.fully_shard(net)
    return attached(METHODS[method], OPTIMIZERS[optimizer], net)


def state_of(run: Run, options: dict[str, bool]) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    model, optim = get_state_dict(run.net, run.optimizer, options=StateDictOptions(**options))
    return {"model_state_dict": model, "optim_state_dict": optim}


def save(run: Run, folder: Path, options: dict[str, bool]) -> None:
    dcp.save(state_of(run, options), checkpoint_id=folder)


def load(run: Run, folder: Path, options: dict[str, bool]) -> None:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    state = state_of(run, options)
    dcp.load(state, checkpoint_id=folder)
    set_state_dict(run.net, run.optimizer, **state, options=StateDictOptions(**options))


def all_of(run: Run) -> dict[str, Any]:
    """Weights, statistics, the optimizer's state and what is saved of each weight, unsharded."""
    assert run.handle.updates == 2 * HALF
    everything = leaves("", state_of(run, {"full_state_dict": True}))
    return {key: value for key, value in everything.items() if isinstance(value, Tensor | int)}


def leaves(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict | list):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: leaf for part, inner in items for key, leaf in leaves(f"{name}/{part}", inner).items()}


@needs_fsdp2
def test_sharded_runs_go_on_bit_for_bit(tmp_path: Path) -> None:
    for rank in on_ranks(with_dcp, tmp_path):
        assert len(rank) == len(RUNS)
        for run, (unbroken, resumed) in rank.items():
            assert unbroken.keys() == resumed.keys(), run
            if unbroken:  # torch gathers a full state on rank 0
                assert any("normreg_plugins/updates" in key for key in unbroken), run
                initial = any("normreg_plugins/weights/0.weight/radius" in key for key in unbroken)
                assert initial == ("WRS initial" in run)
            for key, value in unbroken.items():
                same = torch.equal(value, resumed[key]) if torch.is_tensor(value) else value == resumed[key]
                assert same, (run, key)


@needs_fsdp2
def test_a_template_of_a_run_that_did_not_step_leaves_it_as_it_was() -> None:
    """torch makes a step with rate 0 and gradients of zeros, so that there is a state to load into."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    net, plain = tiny_net(), tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    handle = attach(optimizer, net, WeightRescaling(interval=1))
    for _ in range(2):
        state = get_optimizer_state_dict(net, optimizer)
    assert handle.updates == 0
    assert same_state(net, plain)
    assert state["param_groups"][0]["normreg_plugins"] == {"updates": 0}
    assert not optimizer.state[net[0].weight]["momentum_buffer"].any()  # whose weight decay is off
    train(net, optimizer, 1)
    assert handle.updates == 1


def test_a_step_with_rate_0_counts_unless_all_gradients_are_zero() -> None:
    """A warm-up may begin with rate 0."""
    net = tiny_net()
    optimizer = AdamW(net.parameters(), lr=0.0)
    handle = attach(optimizer, net, WeightRescaling(interval=10))
    train(net, optimizer, 2)
    assert handle.updates == 2
    for parameter in net.parameters():
        parameter.grad.zero_()
    optimizer.step()
    assert handle.updates == 2
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    assert handle.updates == 3
