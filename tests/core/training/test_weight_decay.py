"""Weight decay acts where `decay_on` says, and between steps the parameter groups are as they were made."""

import copy
import sys
from functools import partial

import pytest
import torch
from helpers.measures import relative_error
from helpers.training import (
    INVARIANT,
    decays_in_a_step,
    lengths,
    loss_on,
    same_state,
    see_batch,
    set_gradients,
    tiny_net,
    train,
)
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import LambdaLR

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightDecay, WeightRescaling, attach

DECAY = 0.03


def sgd(net: nn.Module) -> SGD:
    return SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=DECAY)


def kind_of(name: str, net: nn.Module) -> str:
    layer, _, parameter = name.rpartition(".")
    if isinstance(net.get_submodule(layer), nn.BatchNorm2d):
        return "gamma" if parameter == "weight" else "beta"
    return "target" if name in INVARIANT else "head" if parameter == "weight" else "bias"


@pytest.mark.parametrize(
    ("method", "decayed"),
    [
        (WeightRescaling(), "gamma beta"),  # WRS paper, Algorithm 1, line 7
        (WeightRescaling(decay_on="others"), "gamma beta head bias"),
        (WeightRescaling(decay_on="kernels_and_gammas"), "target head gamma"),
        (AdaptiveWeightShrink(), "gamma beta head bias"),
        (SphereDescent(), "target head gamma beta bias"),
        (SphereDescent(decay_on="norm_layers"), "gamma beta"),
        (WeightDecay(), "target head gamma"),  # the WRS paper's baseline, Section VI-A
        (WeightDecay(decay_on="all"), "target head gamma beta bias"),
    ],
    ids=repr,
)
def test_it_acts_where_the_method_says(method, decayed: str) -> None:
    net = tiny_net()
    optimizer = sgd(net)
    handle = attach(optimizer, net, method)
    kinds = {name: kind_of(name, net) for name, _ in net.named_parameters()}
    found = decays_in_a_step(net, optimizer)
    assert found == {name: DECAY if kind in decayed.split() else 0.0 for name, kind in kinds.items()}
    assert set(handle.undecayed) == {name for name, decay in found.items() if not decay}


def test_weight_decay_as_a_method_trains_as_the_same_groups_by_hand() -> None:
    net, twin = tiny_net(), tiny_net()
    optimizer = sgd(net)
    handle = attach(optimizer, net, WeightDecay())
    of_twin = dict(twin.named_parameters())
    spared = [of_twin.pop(name) for name in handle.undecayed]
    groups = [{"params": [*of_twin.values()]}, {"params": spared, "weight_decay": 0.0}]
    by_hand = SGD(groups, lr=0.1, momentum=0.9, weight_decay=DECAY)
    train(net, optimizer, 5)
    train(twin, by_hand, 5)
    assert same_state(net, twin)
    assert handle.updates == 5
    other = tiny_net()
    assert handle.targets == attach(sgd(other), other, WeightRescaling()).targets  # so averages treat both alike


@pytest.mark.parametrize("make", [sgd, lambda net: Adam(net.parameters(), lr=1e-2, weight_decay=DECAY)])
@pytest.mark.parametrize("closure", [False, True])
def test_decoupled_it_acts_beside_the_step(make, closure: bool) -> None:
    """Theta <- Theta - eta p - eta lambda Theta_BN (WRS paper, Algorithm 1, line 7), under any optimizer."""
    net, twin = tiny_net(), tiny_net()
    optimizer, by_hand = make(net), make(twin)
    attach(optimizer, net, WeightRescaling(interval=100, decoupled=True), forward=see_batch)
    by_hand.param_groups[0]["weight_decay"] = 0.0
    for index in range(4):
        optimizer.zero_grad()
        if closure:
            optimizer.step(lambda index=index: loss_and_gradients(net, index))
        else:
            train(net, optimizer, 1, first=index)
        by_hand.zero_grad()
        loss_and_gradients(twin, index)
        with torch.no_grad():
            for name, p in twin.named_parameters():
                if kind_of(name, twin) in ("gamma", "beta"):
                    p.mul_(1 - by_hand.param_groups[0]["lr"] * DECAY)
        by_hand.step()
    assert same_state(net, twin)


def loss_and_gradients(net: nn.Module, index: int) -> torch.Tensor:
    loss = loss_on(net, index)
    loss.backward()
    return loss


def test_decoupled_it_is_what_adamw_does() -> None:
    nets = [tiny_net(), tiny_net()]
    for net, decoupled in zip(nets, (False, True)):
        optimizer = AdamW(net.parameters(), lr=1e-2, weight_decay=DECAY)
        attach(optimizer, net, WeightRescaling(interval=2, decoupled=decoupled))
        train(net, optimizer, 4)
    assert same_state(*nets)


@pytest.mark.parametrize(
    ("phase", "decayed"),
    [
        (WeightDecay(end=2), [0, 1]),  # 'WD init' of the WRS paper, Fig. 1
        (WeightDecay(begin=1, end=3), [1, 2]),
        (WeightDecay(begin=1, unit="epoch"), [3, 4]),
    ],
)
def test_weight_decay_in_a_phase_is_a_group_that_is_switched_by_hand(phase, decayed) -> None:
    net, twin = tiny_net(), tiny_net()
    optimizer, by_hand = sgd(net), sgd(twin)
    attach(optimizer, net, phase, updates_per_epoch=3)
    attach(by_hand, twin, WeightDecay())
    for index in range(5):
        for group in by_hand.param_groups:
            group["weight_decay"] = DECAY if index in decayed else 0.0
        train(net, optimizer, 1, first=index)
        train(twin, by_hand, 1, first=index)
    assert same_state(net, twin)


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_step_that_fails_leaves_nothing_behind(monkeypatch, decoupled: bool) -> None:
    net = tiny_net()
    optimizer = sgd(net)
    method = WeightRescaling(interval=100, decoupled=decoupled)
    attach(optimizer, net, method, forward=see_batch)
    set_gradients(net)
    before = copy.deepcopy(optimizer.state_dict()["param_groups"])
    error = RuntimeError("out of memory")
    monkeypatch.setattr(sys.modules["torch.optim.sgd"], "sgd", lambda *_, **__: raise_(error))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            optimizer.step()
    monkeypatch.undo()
    assert optimizer.state_dict()["param_groups"] == before
    gamma = net[1].weight.detach().clone()
    optimizer.step()
    assert relative_error(net[1].weight, gamma * (1 - 0.1 * DECAY)) < 1e-6


def raise_(error: Exception) -> None:
    raise error


def several_groups(net: nn.Module, of_targets: dict) -> list[dict]:
    """Of targets and others, of targets alone, and of others alone."""
    weights = [{"params": [net[0].weight]}, {"params": [net[3].weight], "lr": 0.05, "weight_decay": 0.5}]
    others = [{"params": [*net[1].parameters()]}, {"params": [*net[4].parameters(), *net[8].parameters()], "lr": 0.02}]
    if of_targets:
        return [*others, {"params": [net[3].bias]}, *({**group, **of_targets} for group in weights)]
    return [{"params": [*weights[0]["params"], *others[0]["params"]]}, weights[1], others[1], {"params": [net[3].bias]}]


@pytest.mark.parametrize("kind", [AdamW, partial(SGD, momentum=0.9, nesterov=True)])
@pytest.mark.parametrize("scheduled_first", [False, True])
def test_training_is_that_of_groups_made_by_hand(kind, scheduled_first: bool) -> None:
    """The groups that a scheduler, a checkpoint and the user see stay as they are."""
    net, twin = tiny_net(), tiny_net()
    optimizer = kind(several_groups(net, {}), lr=0.1, weight_decay=DECAY)
    by_hand = kind(several_groups(twin, {"weight_decay": 0.0}), lr=0.1, weight_decay=DECAY)
    schedule = LambdaLR(optimizer, [lambda step, i=i: 1 / (1 + (i + 1) * step) for i in range(4)])
    handle = None if scheduled_first else attach(optimizer, net, WeightRescaling(interval=3, decay_on="others"))
    handle = handle or attach(optimizer, net, WeightRescaling(interval=3, decay_on="others"))
    attach(by_hand, twin, WeightRescaling(interval=3, decay_on="all"))
    before = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
    for index in range(7):
        train(net, optimizer, 1, first=index)
        train(twin, by_hand, 1, first=index)
        schedule.step()
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        of_twin = {id(p): rates[id(net.get_parameter(name))] for name, p in twin.named_parameters()}
        for group in by_hand.param_groups:
            group["lr"] = of_twin[id(group["params"][0])]
    assert same_state(net, twin)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [DECAY, 0.5, DECAY, DECAY]
    handle.detach()
    assert [[id(p) for p in group["params"]] for group in optimizer.param_groups] == before


def test_a_checkpoint_of_plain_training_brings_no_decay_back() -> None:
    net = tiny_net()
    optimizer = sgd(net)
    train(net, optimizer, 1)
    saved = copy.deepcopy(optimizer.state_dict())
    attach(optimizer, net, WeightRescaling())
    optimizer.load_state_dict(saved)
    assert decays_in_a_step(net, optimizer)["0.weight"] == 0


def test_an_optimizer_without_weight_decay_is_fine() -> None:
    net = tiny_net()
    optimizer = torch.optim.Rprop(net.parameters(), lr=1e-3)
    assert "weight_decay" not in optimizer.param_groups[0]
    attach(optimizer, net, WeightRescaling(interval=1), forward=see_batch)
    train(net, optimizer, 2)
    assert torch.allclose(lengths(net), torch.ones(6))
