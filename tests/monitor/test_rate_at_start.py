"""What a method does to the effective rate at the start, and the rate that keeps it, against measured angles."""

import copy

import pytest
import torch
from helpers.training import lengths, loss_on, tiny_net
from torch import nn, optim

from normreg_plugins import AdaptiveWeightShrink, Hyperball, SphereDescent, WeightRescaling, attach
from normreg_plugins.monitor import change_at_start, rate_at_start

LONG = 1.7


def long_net():
    net = tiny_net()
    for name in ("0.weight", "3.weight"):
        net.get_parameter(name).data.mul_(LONG / lengths(net, name).view(-1, 1, 1, 1))
    return net


def first_angle(make, lr: float, method=None) -> torch.Tensor:
    """How far the first update turns each filter."""
    net = long_net()
    optimizer = make(net.parameters(), lr=lr)
    if method is not None:
        attach(optimizer, net, method)
    loss_on(net, 0).backward()
    before = net[0].weight.detach().clone().flatten(1).double()
    optimizer.step()
    after = net[0].weight.detach().flatten(1).double()
    return torch.acos(torch.cosine_similarity(before, after))


POWERS = {"SGD": (optim.SGD, 2), "RMSprop": (optim.RMSprop, 1)}


@pytest.mark.parametrize("optimizer", POWERS)
def test_the_rate_it_names_keeps_the_angles(optimizer: str) -> None:
    make, power = POWERS[optimizer]
    method = WeightRescaling(interval=1, at_start=True)
    net = long_net()
    made = make(net.parameters(), lr=1e-3)
    found = rate_at_start(attach(made, net, method))
    assert found is not None
    assert found.factor == pytest.approx(LONG**power)
    assert found.rate == 1e-3
    plain = first_angle(make, 1e-3)
    assert torch.allclose(first_angle(make, found.rate / found.factor, method), plain, rtol=0.02)
    assert torch.allclose(first_angle(make, 1e-3, method) / plain, torch.full_like(plain, LONG**power), rtol=0.05)


def test_its_sentence() -> None:
    net = long_net()
    handle = attach(optim.SGD(net.parameters(), lr=0.01), net, WeightRescaling())
    assert str(rate_at_start(handle)) == (
        "Median filter norm 1.7 -> 1: effective learning rate x2.9 (x2.9 to x2.9 per filter). "
        "Use lr=0.0035 instead of 0.01 to keep it."
    )


def test_the_rate_before_a_warm_up_counts() -> None:
    net = long_net()
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    handle = attach(optimizer, net, WeightRescaling())
    optim.lr_scheduler.LinearLR(optimizer, 0.1)
    found = rate_at_start(handle)
    assert found is not None
    assert found.rate == 0.01


@pytest.mark.parametrize("method", [WeightRescaling(radius="initial"), WeightRescaling(per="position"), Hyperball()])
def test_methods_that_give_no_common_norm_say_nothing_and_so_does_an_optimizer_of_unknown_kind(method) -> None:
    net = tiny_net()
    with attach(optim.SGD(net.parameters(), lr=0.01), net, method) as handle:
        assert rate_at_start(handle) is None
    assert rate_at_start(attach(optim.Rprop(net.parameters(), lr=0.01), net, WeightRescaling())) is None


def test_nothing_is_said_where_the_rate_stays_or_the_run_goes_on() -> None:
    net = long_net()
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    assert rate_at_start(attach(optimizer, net, WeightRescaling(radius=LONG * 1.001))) is None  # x1 as printed
    net = long_net()
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    handle = attach(optimizer, net, WeightRescaling())
    assert rate_at_start(handle) is not None
    loss_on(net, 0).backward()
    optimizer.step()
    saved = optimizer.state_dict()
    net = long_net()
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    handle = attach(optimizer, net, WeightRescaling())
    optimizer.load_state_dict(saved)
    assert rate_at_start(handle) is None


def change_by_hand(before: nn.Module, after: nn.Module, name: str, scale_is_seen: bool) -> float:
    """That of the filter that changed most."""
    largest = 0.0
    both = [net.get_parameter(name).detach().flatten(1).double() for net in (before, after)]
    for old, new in zip(*both, strict=True):
        if not scale_is_seen:
            old, new = old / old.norm(), new / new.norm()
        largest = max(largest, float((new - old).norm() / old.norm()))
    return largest


CHANGES = {
    "WRS(IC)": (WeightRescaling(interval=1, per="position"), False),
    "PGD": (SphereDescent(), False),
    "WRS on the output": (WeightRescaling(interval=1, select="*"), True),
    "PGD, a scale is seen": (SphereDescent(center=False, select="*"), True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_function_is_said_with_its_size(name: str) -> None:
    method, scale_is_seen = CHANGES[name]
    net = long_net()
    optimizer = optim.SGD(net.parameters(), lr=0.0)
    before = copy.deepcopy(net)
    handle = attach(optimizer, net, method)
    said = change_at_start(handle)
    loss_on(net, 0).backward()
    optimizer.step()  # at rate 0, so only the method acts
    by_name = {n: change_by_hand(before, net, n, False) for n in ("0.weight", "3.weight")}
    if scale_is_seen:
        last = next(n for n in handle.targets if n not in by_name)
        by_name = {last: change_by_hand(before, net, last, True)}
    assert {n: float(handle.changes_at_start[n].max()) for n in by_name} == pytest.approx(by_name, rel=1e-4)
    assert f"at most {max(by_name.values()):.0%})" in said
    assert change_at_start(handle) == ""  # it is no start any more


@pytest.mark.parametrize(
    "method",
    [WeightRescaling(), WeightRescaling(radius="initial"), AdaptiveWeightShrink(), SphereDescent(center=False)],
)
def test_nothing_is_said_of_a_method_that_keeps_the_function(method) -> None:
    net = long_net()
    handle = attach(optim.SGD(net.parameters(), lr=0.01), net, method)
    assert (change_at_start(handle), handle.changes_at_start) == ("", {})


def test_what_is_said_is_of_the_weights_that_are_loaded_after_attach() -> None:
    """They may have the norms that the method had already given to the weights before them."""
    net = tiny_net()
    handle = attach(optim.SGD(net.parameters(), lr=0.01), net, SphereDescent(center=False, select="8"))
    assert handle.changes_at_start["8.weight"].max() > 0.1
    net.load_state_dict({**net.state_dict(), "8.weight": net[8].weight.flip(1)})
    said = []
    handle.on_first_forward(lambda handle: said.append(change_at_start(handle)))
    loss_on(net, 0)
    assert said == [""]
