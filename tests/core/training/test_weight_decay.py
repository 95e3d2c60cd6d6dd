"""Weight decay acts where `decay_on` says, and comes back."""

import copy
import sys

import pytest
import torch
from helpers.measures import relative_error
from helpers.training import lengths, loss_on, same_state, see_batch, set_gradients, tiny_net, train
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CyclicLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
)

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightDecay, WeightRescaling, attach
from normreg_plugins.core.errors import AttachError

DECAY = 0.03


def decays(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    by_weight = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    return {name: by_weight[id(p)] for name, p in net.named_parameters()}


def sgd(net: nn.Module) -> SGD:
    return SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=DECAY)


@pytest.mark.parametrize(
    "method", [WeightRescaling(decay_on="others"), AdaptiveWeightShrink(), SphereDescent(decay_on="others")]
)
def test_it_leaves_the_targets_and_nothing_else(method) -> None:
    net = tiny_net()
    optimizer = sgd(net)
    handle = attach(optimizer, net, method)
    expected = {name: 0.0 if name in handle.targets else DECAY for name, _ in net.named_parameters()}
    assert decays(net, optimizer) == expected
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize(
    "method",
    [WeightRescaling(decay_on="all"), AdaptiveWeightShrink(decay_on="all"), SphereDescent()],
)
def test_it_stays_where_that_is_asked_for(method) -> None:
    net = tiny_net()
    optimizer = sgd(net)
    attach(optimizer, net, method)
    assert set(decays(net, optimizer).values()) == {DECAY}
    assert len(optimizer.param_groups) == 1


def kind_of(name: str, net: nn.Module) -> str:
    layer, _, parameter = name.rpartition(".")
    if isinstance(net.get_submodule(layer), nn.BatchNorm2d):
        return "gamma" if parameter == "weight" else "beta"
    return "kernel" if parameter == "weight" else "bias"


@pytest.mark.parametrize(
    ("method", "decayed"),
    [
        (WeightRescaling(), {"gamma", "beta"}),  # WRS paper, Algorithm 1, line 7
        (WeightRescaling(decay_on="kernels_and_gammas"), {"kernel", "gamma"}),
        (SphereDescent(decay_on="norm_layers"), {"gamma", "beta"}),
        (WeightDecay(), {"kernel", "gamma"}),  # the WRS paper's baseline, Section VI-A
        (WeightDecay(decay_on="all"), {"kernel", "gamma", "beta", "bias"}),
    ],
)
def test_it_acts_on_the_kinds_of_parameters_that_are_named(method, decayed) -> None:
    net = tiny_net()
    optimizer = sgd(net)
    handle = attach(optimizer, net, method)
    kinds = {name: kind_of(name, net) for name, _ in net.named_parameters()}
    assert set(kinds.values()) == {"gamma", "beta", "kernel", "bias"}
    assert decays(net, optimizer) == {name: DECAY if kind in decayed else 0.0 for name, kind in kinds.items()}
    assert set(handle.undecayed) == {name for name, kind in kinds.items() if kind not in decayed}


def test_the_norm_layers_are_decayed_and_nothing_else_moves() -> None:
    """Without gradients an update is weight decay alone (Algorithm 1, line 7)."""
    net = tiny_net()
    before = copy.deepcopy(dict(net.named_parameters()))
    optimizer = sgd(net)
    attach(optimizer, net, WeightRescaling(interval=100), forward=see_batch)
    set_gradients(net)
    optimizer.step()
    for name, p in net.named_parameters():
        shrunk = 1 - 0.1 * DECAY if kind_of(name, net) in ("gamma", "beta") else 1.0
        assert torch.allclose(p, shrunk * before[name], rtol=1e-6), name


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
    assert {name for name, decay in decays(net, optimizer).items() if decay == DECAY} == set(of_norm_layers(net))


def loss_and_gradients(net: nn.Module, index: int) -> torch.Tensor:
    loss = loss_on(net, index)
    loss.backward()
    return loss


def of_norm_layers(net: nn.Module) -> list[str]:
    return [name for name, _ in net.named_parameters() if kind_of(name, net) in ("gamma", "beta")]


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
    groups = [group for group in by_hand.param_groups if group["weight_decay"]]
    for index in range(5):
        for group in groups:
            group["weight_decay"] = DECAY if index in decayed else 0.0
        train(net, optimizer, 1, first=index)
        train(twin, by_hand, 1, first=index)
        assert DECAY in decays(net, optimizer).values()
    assert same_state(net, twin)


def test_a_step_that_fails_costs_the_next_one_no_decay(monkeypatch) -> None:
    net = tiny_net()
    optimizer = sgd(net)
    attach(optimizer, net, WeightRescaling(interval=100, decoupled=True), forward=see_batch)
    set_gradients(net)
    error = RuntimeError("out of memory")
    monkeypatch.setattr(sys.modules["torch.optim.sgd"], "sgd", lambda *_, **__: raise_(error))
    with pytest.raises(RuntimeError, match="out of memory"):
        optimizer.step()
    monkeypatch.undo()
    before = net[1].weight.detach().clone()
    optimizer.step()
    assert relative_error(net[1].weight, before * (1 - 0.1 * DECAY)) < 1e-6
    assert set(decays(net, optimizer).values()) == {0.0, DECAY}


def raise_(error: Exception) -> None:
    raise error


def test_without_it_targets_do_not_shrink_between_rescales() -> None:
    for keep in (False, True):
        net = tiny_net()
        optimizer = sgd(net)
        method = WeightRescaling(interval=100, at_start=True, decay_on="all" if keep else "others")
        attach(optimizer, net, method, forward=see_batch)
        set_gradients(net)
        optimizer.step()
        shrunk = 1 - 0.1 * DECAY if keep else 1.0
        assert torch.allclose(lengths(net), torch.full((), shrunk), rtol=1e-6)
        assert relative_error(net[1].weight, torch.full((6,), 1 - 0.1 * DECAY)) < 1e-6


def test_a_group_of_targets_alone_is_not_split() -> None:
    net = tiny_net()
    groups = [{"params": [net[0].weight, net[3].weight]}, {"params": [net[1].weight], "weight_decay": 0.5}]
    optimizer = SGD(groups, lr=0.1, weight_decay=DECAY)
    with attach(optimizer, net, WeightRescaling()):
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.5]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [DECAY, 0.5]


def test_a_split_group_keeps_its_other_settings() -> None:
    net = tiny_net()
    groups = [{"params": net[:3].parameters(), "lr": 0.3}, {"params": net[3:].parameters(), "momentum": 0.5}]
    optimizer = SGD(groups, lr=0.1, momentum=0.9, weight_decay=DECAY)
    attach(optimizer, net, WeightRescaling())
    settings = {id(p): (g["lr"], g["momentum"]) for g in optimizer.param_groups for p in g["params"]}
    assert settings[id(net[0].weight)] == settings[id(net[1].weight)] == (0.3, 0.9)
    assert settings[id(net[3].weight)] == settings[id(net[8].weight)] == (0.1, 0.5)


def test_detaching_puts_everything_back_with_todays_learning_rates() -> None:
    net = tiny_net()
    optimizer = sgd(net)
    before = copy.deepcopy(optimizer.state_dict()["param_groups"])
    parameters = list(optimizer.param_groups[0]["params"])
    handle = attach(optimizer, net, WeightRescaling())
    for group in optimizer.param_groups:
        group["lr"] = 0.025
    handle.detach()
    assert optimizer.state_dict()["param_groups"] == [{**before[0], "lr": 0.025}]
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in parameters]


def test_detaching_keeps_a_group_that_was_added_meanwhile() -> None:
    net = tiny_net()
    extra = nn.Parameter(torch.ones(3))
    optimizer = sgd(net)
    handle = attach(optimizer, net, WeightRescaling())
    optimizer.add_param_group({"params": [extra], "lr": 0.7})
    handle.detach()
    held = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
    assert held == [[id(p) for p in net.parameters()], [id(extra)]]
    assert optimizer.param_groups[1]["lr"] == 0.7
    assert set(decays(net, optimizer).values()) == {DECAY}


def test_training_with_a_split_group_is_training_with_two_groups() -> None:
    net, twin = tiny_net(), tiny_net()
    optimizer = AdamW(net.parameters(), lr=1e-2, weight_decay=DECAY)
    attach(optimizer, net, WeightRescaling(interval=3, decay_on="others"))
    targets = [twin[0].weight, twin[3].weight]
    others = [p for p in twin.parameters() if not any(p is t for t in targets)]
    by_hand = AdamW([{"params": others}, {"params": targets, "weight_decay": 0.0}], lr=1e-2, weight_decay=DECAY)
    attach(by_hand, twin, WeightRescaling(interval=3, decay_on="all"))
    train(net, optimizer, 7)
    train(twin, by_hand, 7)
    assert same_state(net, twin)


def in_groups(net: nn.Module, groups: int) -> SGD:
    """Parameters dealt out over groups, so that each holds targets and others or others alone."""
    parameters = list(net.parameters())
    dealt = [{"params": parameters[i::groups], "lr": 0.1 * (i + 1)} for i in range(groups)]
    return SGD(dealt, lr=0.1, momentum=0.9, weight_decay=DECAY)


def rates(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    by_weight = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: by_weight[id(p)] for name, p in net.named_parameters()}


SCHEDULERS = {
    "multi step": lambda o: MultiStepLR(o, [2, 4], gamma=0.5),
    "lambda": lambda o: LambdaLR(o, lambda step: 1 / (1 + step)),
    "one cycle": lambda o: OneCycleLR(o, max_lr=0.2, total_steps=20),
    "one cycle of three phases": lambda o: OneCycleLR(o, max_lr=0.2, total_steps=20, three_phase=True),
    "cyclic": lambda o: CyclicLR(o, base_lr=0.01, max_lr=0.2, step_size_up=3),
    "cosine": lambda o: CosineAnnealingLR(o, T_max=5),
    "sequential": lambda o: SequentialLR(o, [LambdaLR(o, lambda _: 0.1), MultiStepLR(o, [1, 3])], milestones=[2]),
    "chained": lambda o: ChainedScheduler([LinearLR(o), MultiStepLR(o, [2])]),
}


COUNTS_GROUPS = {
    "a lambda per group": lambda o: LambdaLR(o, [lambda s, i=i: 1 / (i + s + 1) for i in range(len(o.param_groups))])
}


class TestSchedulers:
    @pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
    def test_made_after_attaching_all_groups_follow(self, make) -> None:
        net, twin = tiny_net(), tiny_net()
        optimizer, plain = sgd(net), sgd(twin)
        attach(optimizer, net, WeightRescaling())
        ours, theirs = make(optimizer), make(plain)
        for index in range(6):
            for one, other, scheduler in ((net, optimizer, ours), (twin, plain, theirs)):
                train(one, other, 1, first=index)
                scheduler.step()
            assert rates(net, optimizer) == rates(twin, plain)

    def test_made_before_is_refused_where_a_group_must_be_split(self) -> None:
        net = tiny_net()
        optimizer = sgd(net)
        MultiStepLR(optimizer, [2])
        before = copy.deepcopy(optimizer.state_dict())
        with pytest.raises(AttachError, match=r"0\.03.*before you create the scheduler"):
            attach(optimizer, net, WeightRescaling())
        assert optimizer.state_dict() == before
        assert not net._forward_hooks

    def test_made_before_is_fine_where_nothing_is_split(self) -> None:
        net = tiny_net()
        optimizer = sgd(net)
        scheduler = MultiStepLR(optimizer, [2], gamma=0.5)
        attach(optimizer, net, WeightRescaling(decay_on="all"))
        train(net, optimizer, 1)
        scheduler.step()
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == 0.05

    @pytest.mark.parametrize("groups", [1, 2, 3])
    @pytest.mark.parametrize("first", [0, 3])
    @pytest.mark.parametrize("make", (SCHEDULERS | COUNTS_GROUPS).values(), ids=SCHEDULERS | COUNTS_GROUPS)
    def test_made_before_and_handed_over_all_groups_follow(self, make, first: int, groups: int) -> None:
        net, twin = tiny_net(), tiny_net()
        optimizer, plain = (in_groups(n, groups) for n in (net, twin))
        ours, theirs = make(optimizer), make(plain)
        for index in range(first + 5):
            if index == first:
                attach(optimizer, net, WeightRescaling(), schedulers=[ours])
                assert len(optimizer.param_groups) > groups
            for one, other, scheduler in ((net, optimizer, ours), (twin, plain, theirs)):
                train(one, other, 1, first=index)
                scheduler.step()
            assert rates(net, optimizer) == rates(twin, plain)
            assert len(ours.get_last_lr()) == len(optimizer.param_groups)


def test_decay_that_a_checkpoint_brings_back_is_taken_off_again() -> None:
    net = tiny_net()
    targets, others = [net[0].weight, net[3].weight], [net[1].weight, net[1].bias]
    optimizer = SGD([{"params": targets}, {"params": others}], lr=0.1, weight_decay=DECAY)
    train(net, optimizer, 1)
    saved = copy.deepcopy(optimizer.state_dict())
    attach(optimizer, net, WeightRescaling())
    optimizer.load_state_dict(saved)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, DECAY]


def test_an_optimizer_without_weight_decay_is_fine() -> None:
    net = tiny_net()
    optimizer = torch.optim.Rprop(net.parameters(), lr=1e-3)
    assert "weight_decay" not in optimizer.param_groups[0]
    attach(optimizer, net, WeightRescaling(interval=1), forward=see_batch)
    train(net, optimizer, 2)
    assert torch.allclose(lengths(net), torch.ones(6))


def test_a_split_group_is_logged_for_code_that_sets_rates_by_hand(caplog) -> None:
    net = tiny_net()
    with caplog.at_level("INFO", logger="normreg_plugins"):
        attach(SGD(net.parameters(), lr=0.1, weight_decay=1e-3), net, WeightRescaling())
    assert "parameter group 0 was split" in caplog.text
    assert "must set them for every group" in caplog.text
