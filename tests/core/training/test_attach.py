"""What `attach` and the methods refuse, what a handle shows, and several optimizers at once."""

import copy

import pytest
import torch
from helpers.training import INVARIANT, are_unit, attached, lengths, see_batch, tiny_net, train
from torch import nn
from torch.optim import LBFGS, SGD, Adam

from normreg_plugins import AdaptiveWeightShrink, Hyperball, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import AttachError, NormRegError, SelectionError

EVERY_UPDATE = WeightRescaling(interval=1)


class TestRefusals:
    def test_lbfgs(self) -> None:
        net = tiny_net()
        with pytest.raises(AttachError, match="LBFGS"):
            attach(LBFGS(net.parameters()), net, EVERY_UPDATE)

    def test_what_is_no_optimizer(self) -> None:
        net = tiny_net()
        wrapper = type("Wrapper", (), {"optimizer": SGD(net.parameters(), lr=0.1)})()
        with pytest.raises(AttachError, match=r"Wrapper.*\.optimizer"):
            attach(wrapper, net, EVERY_UPDATE)

    def test_what_is_no_method(self) -> None:
        with pytest.raises(AttachError, match="'WRS'"):
            attached("WRS")

    def test_a_second_method_on_the_same_optimizer(self) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE)
        with pytest.raises(AttachError, match=r"WeightRescaling\(interval=1.*detach"):
            attach(optimizer, net, SphereDescent())
        handle.detach()
        assert attach(optimizer, net, SphereDescent()).targets == INVARIANT

    def test_a_refused_attach_leaves_nothing_behind(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1, weight_decay=0.1)
        before = copy.deepcopy(optimizer.state_dict())
        for trouble in ({"select": "head"}, {"select": []}):
            with pytest.raises(SelectionError):
                attach(optimizer, net, EVERY_UPDATE, **trouble)
        with pytest.raises(AttachError, match="updates_per_epoch"):
            attach(optimizer, net, WeightRescaling(begin=1, unit="epoch"))
        assert optimizer.state_dict() == before
        assert not net._forward_hooks
        assert not net._forward_pre_hooks
        assert attach(optimizer, net, EVERY_UPDATE).targets == INVARIANT


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        (WeightRescaling, "interval", 0),
        (WeightRescaling, "interval", -3),
        (WeightRescaling, "interval", 2.5),
        (WeightRescaling, "interval", True),
        (WeightRescaling, "radius", 0.0),
        (WeightRescaling, "radius", -1.5),
        (WeightRescaling, "radius", float("nan")),
        (WeightRescaling, "radius", float("inf")),
        (WeightRescaling, "radius", "1"),
        (WeightRescaling, "radius", True),
        (WeightRescaling, "radius", None),
        (WeightRescaling, "per", "channel"),
        (WeightRescaling, "output_layers", (3,)),
        (WeightRescaling, "output_layers", ("",)),
        (WeightRescaling, "begin", -1),
        (WeightRescaling, "begin", 1.5),
        (WeightRescaling, "end", 0),
        (WeightRescaling, "unit", "iteration"),
        (AdaptiveWeightShrink, "alpha", -1e-3),
        (AdaptiveWeightShrink, "alpha", float("nan")),
        (AdaptiveWeightShrink, "alpha", "2"),
        (AdaptiveWeightShrink, "measure", "mean"),
        (AdaptiveWeightShrink, "begin", -2),
        (AdaptiveWeightShrink, "end", -4),
        (AdaptiveWeightShrink, "unit", "step"),
        (SphereDescent, "c", 0),
        (SphereDescent, "c", -2.0),
        (SphereDescent, "c", float("inf")),
        (SphereDescent, "c", None),
        (Hyperball, "per", "position"),
    ],
)
def test_a_bad_option_is_refused_with_its_value(method, option: str, value) -> None:
    with pytest.raises(NormRegError) as trouble:
        method(**{option: value})
    assert f"{option}={value!r}" in str(trouble.value)
    assert isinstance(trouble.value, ValueError)


@pytest.mark.parametrize("method", [WeightRescaling, AdaptiveWeightShrink])
def test_a_phase_must_end_after_it_begins(method) -> None:
    with pytest.raises(NormRegError, match=r"end=3.*begin=3"):
        method(begin=3, end=3)


@pytest.mark.parametrize(
    "method",
    [
        WeightRescaling(interval=7, radius=0.5, per="position", output_layers=("head", "fc"), begin=1, end=9),
        WeightRescaling(unit="epoch", at_start=True, decay_on="all"),
        AdaptiveWeightShrink(1e-4, "std", begin=2, end=5, unit="epoch", decay_on="all"),
        SphereDescent(c=1.0, center=False, decay_on="others"),
    ],
)
def test_a_method_is_rebuilt_from_its_repr(method) -> None:
    assert eval(repr(method)) == method


def test_several_optimizers_each_with_its_own_method_and_count() -> None:
    net = tiny_net()
    first, second = SGD(net[:2].parameters(), lr=0.1), Adam(net[2:].parameters(), lr=1e-2)
    wrs = attach(first, net, WeightRescaling(interval=2))
    pgd = attach(second, net, SphereDescent(c=2.0))
    assert (wrs.targets, pgd.targets) == (("0.weight",), ("3.weight",))
    for index in range(4):
        net.zero_grad()
        see_batch(net).backward()
        first.step()
        if index % 2:
            second.step()
    assert (wrs.updates, pgd.updates) == (4, 2)
    assert are_unit(net, "0.weight")
    assert are_unit(net, "3.weight", radius=2**0.5)


def test_two_models_of_one_optimizer_are_attached_as_one_module() -> None:
    both = nn.ModuleDict({"left": tiny_net(0), "right": tiny_net(1)})
    optimizer = SGD(both.parameters(), lr=0.1)
    handle = attach(optimizer, both, EVERY_UPDATE, forward=lambda m: [see_batch(m["left"]), see_batch(m["right"])])
    assert handle.targets == ("left.0.weight", "left.3.weight", "right.0.weight", "right.3.weight")


def test_the_repr_of_a_handle_has_the_method_the_weights_and_the_updates() -> None:
    net, optimizer, handle = attached(EVERY_UPDATE)
    train(net, optimizer, 3)
    assert repr(handle) == f"<{EVERY_UPDATE!r} on 2 of 3 weights, 3 updates>"
    assert float(lengths(net).mean()) == pytest.approx(1)


@pytest.mark.parametrize(("begin", "restored"), [(0, True), (2, False)])
def test_reapply_restores_the_norms_of_rounded_weights_within_the_phase(begin: int, restored: bool) -> None:
    net, optimizer, handle = attached(WeightRescaling(interval=1, begin=begin))
    train(net, optimizer, 1)
    net.half().float()
    rounded = net[0].weight.detach().clone()
    handle.reapply()
    assert are_unit(net) == restored
    assert torch.equal(net[0].weight, rounded) != restored
