"""Choosing weights, refusing what cannot work, and leaving no trace after detaching."""

import copy

import pytest
import torch
from core.nets import bn, conv
from core.training import INVARIANT, are_unit, lengths, same_state, see_batch, tiny_net, train
from torch import nn
from torch.optim import LBFGS, SGD, Adam, AdamW
from torchvision.ops import FrozenBatchNorm2d

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach, prove_scale_invariant
from normreg_plugins.core.errors import AttachError, NormRegError, SelectionError

EVERY_UPDATE = WeightRescaling(interval=1)
METHODS = [EVERY_UPDATE, AdaptiveWeightShrink(alpha=0.1), SphereDescent()]


class TestChoosing:
    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_by_default_every_invariant_weight_is_taken(self, method) -> None:
        net = tiny_net()
        handle = attach(SGD(net.parameters(), lr=0.1), net, method)
        assert handle.targets == INVARIANT
        assert "free" in handle.left_alone["8.weight"]
        assert [v.kind for v in handle.verdicts] == ["invariant", "invariant", "free"]

    def test_compensated_weights_are_taken_too(self) -> None:
        net = tiny_net()
        net[1] = FrozenBatchNorm2d(6)
        handle = attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, forward=see_batch)
        assert [v.kind for v in handle.verdicts] == ["compensated", "invariant", "free"]
        assert handle.targets == INVARIANT

    @pytest.mark.parametrize("select", ["3", "3.weight", ["3"], ("3.*",), "[3]"])
    def test_names_and_patterns_replace_the_choice(self, select) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        handle = attach(optimizer, net, EVERY_UPDATE, select=select)
        train(net, optimizer, 2)
        assert handle.targets == ("3.weight",)
        assert are_unit(net, "3.weight")
        assert not are_unit(net, "0.weight")

    def test_a_free_weight_is_taken_when_it_is_named(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        attach(optimizer, net, EVERY_UPDATE, select="8")
        train(net, optimizer, 2)
        assert are_unit(net, "8.weight")

    def test_the_output_layer_joins_the_others_when_it_is_named(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        handle = attach(optimizer, net, WeightRescaling(interval=1, output_layers="8"))
        train(net, optimizer, 2)
        assert handle.targets == (*INVARIANT, "8.weight")
        assert all(are_unit(net, name) for name in handle.targets)

    @pytest.mark.parametrize("method", [EVERY_UPDATE, WeightRescaling(output_layers=("head",))])
    def test_a_pattern_that_matches_nothing_is_an_error_that_names_it(self, method) -> None:
        net = tiny_net()
        with pytest.raises(SelectionError, match="'head'"):
            attach(SGD(net.parameters(), lr=0.1), net, method, select="head" if method is EVERY_UPDATE else None)

    def test_one_useless_pattern_among_useful_ones_is_an_error_too(self) -> None:
        net = tiny_net()
        with pytest.raises(SelectionError, match=r"'heads\.\*'"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, select=["0", "heads.*"])

    def test_choosing_nothing_is_an_error(self) -> None:
        net = nn.Sequential(conv(), nn.SiLU(), nn.Flatten(), nn.Linear(6, 2))
        with pytest.raises(SelectionError, match="finds no weight to act on among 2"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE)
        with pytest.raises(SelectionError):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, select=[])

    def test_a_net_without_layers_is_an_error(self) -> None:
        net = nn.Sequential(bn(3))
        with pytest.raises(SelectionError, match="0 conv/linear weights"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE)

    def test_naming_a_frozen_weight_is_an_error(self) -> None:
        net = tiny_net()
        net[0].requires_grad_(False)
        with pytest.raises(SelectionError, match=r"0\.weight is frozen"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, select="0")

    def test_naming_a_weight_of_another_optimizer_is_an_error(self) -> None:
        net = tiny_net()
        with pytest.raises(SelectionError, match=r"0\.weight is not updated"):
            attach(SGD(net[3:].parameters(), lr=0.1), net, EVERY_UPDATE, select="0")

    def test_naming_a_parametrized_weight_is_an_error(self) -> None:
        net = nn.Sequential(nn.utils.parametrizations.weight_norm(conv()), bn())
        with pytest.raises(SelectionError, match="parametrized"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, select="0.*original1")

    def test_frozen_weights_are_never_touched_and_say_so(self) -> None:
        net = tiny_net()
        net[0].requires_grad_(False)
        before = net[0].weight.clone()
        optimizer = SGD(net.parameters(), lr=0.1)
        handle = attach(optimizer, net, WeightRescaling(interval=1, at_start=True))
        train(net, optimizer, 3)
        assert handle.targets == ("3.weight",)
        assert "frozen" in handle.left_alone["0.weight"]
        assert torch.equal(net[0].weight, before)

    def test_a_weight_frozen_later_is_left_alone_until_it_is_unfrozen(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        attach(optimizer, net, EVERY_UPDATE, forward=see_batch)
        net[0].requires_grad_(False)
        before = net[0].weight.clone()
        train(net, optimizer, 3)
        assert torch.equal(net[0].weight, before)
        net[0].requires_grad_(True)
        train(net, optimizer, 1)
        assert are_unit(net)

    def test_centring_a_filter_of_one_entry_is_refused(self) -> None:
        net = nn.Sequential(nn.Conv2d(3, 3, 1, groups=3), nn.BatchNorm2d(3), conv(), bn())
        handle = attach(SGD(net.parameters(), lr=0.1), net, SphereDescent())
        assert handle.targets == ("2.weight",)
        assert "one entry" in handle.left_alone["0.weight"]
        attach(SGD(net.parameters(), lr=0.1), net, SphereDescent(center=False), select="0")

    def test_numbers_overrule_what_was_seen(self) -> None:
        net = tiny_net()
        proof = prove_scale_invariant(net, lambda model: (see_batch(model), model[3].weight.sum()))
        handle = attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, forward=see_batch, proof=proof)
        assert handle.targets == ("0.weight",)
        assert "overruled" in handle.left_alone["3.weight"]

    def test_a_proof_of_another_model_is_refused(self) -> None:
        net = tiny_net()
        with pytest.raises(SelectionError, match=r"says nothing of '0\.weight'"):
            attach(SGD(net.parameters(), lr=0.1), net, EVERY_UPDATE, proof=prove_scale_invariant(conv(), see_image))


def see_image(model: nn.Module) -> torch.Tensor:
    return model(torch.ones(2, 3, 5, 5))


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
        net = tiny_net()
        with pytest.raises(AttachError, match="'WRS'"):
            attach(SGD(net.parameters(), lr=0.1), net, "WRS")

    def test_a_second_method_on_the_same_optimizer(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        handle = attach(optimizer, net, EVERY_UPDATE)
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
        WeightRescaling(unit="epoch", at_start=True, transport_state=True, keep_weight_decay=True),
        AdaptiveWeightShrink(1e-4, "std", begin=2, end=5, unit="epoch", keep_weight_decay=True),
        SphereDescent(c=1.0, center=False, keep_weight_decay=False),
    ],
)
def test_a_method_is_rebuilt_from_its_repr(method) -> None:
    assert eval(repr(method)) == method


class TestOff:
    """Switched off is bit for bit plain training."""

    @staticmethod
    def plain(optimizer_of, updates: int = 6) -> nn.Module:
        net = tiny_net()
        train(net, optimizer_of(net.parameters()), updates)
        return net

    @staticmethod
    def decaying_sgd(parameters):
        return SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-2)

    @staticmethod
    def decaying_adam(parameters):
        return AdamW(parameters, lr=1e-2, weight_decay=1e-1, foreach=True)

    @pytest.mark.parametrize("optimizer_of", [decaying_sgd, decaying_adam])
    @pytest.mark.parametrize("method", METHODS[:2], ids=lambda m: type(m).__name__)
    def test_attached_and_detached_before_training(self, method, optimizer_of) -> None:
        net = tiny_net()
        optimizer = optimizer_of(net.parameters())
        with attach(optimizer, net, method):
            pass
        train(net, optimizer, 6)
        assert same_state(net, self.plain(optimizer_of))

    @pytest.mark.parametrize(
        "method",
        [
            WeightRescaling(interval=7, keep_weight_decay=True),
            WeightRescaling(interval=1, begin=6, keep_weight_decay=True),
            WeightRescaling(interval=5, begin=5, end=9, keep_weight_decay=True),
            AdaptiveWeightShrink(alpha=0.0, keep_weight_decay=True),
            AdaptiveWeightShrink(alpha=0.5, begin=6, keep_weight_decay=True),
        ],
        ids=repr,
    )
    def test_attached_but_not_its_time(self, method) -> None:
        net = tiny_net()
        optimizer = self.decaying_sgd(net.parameters())
        handle = attach(optimizer, net, method)
        train(net, optimizer, 6)
        assert handle.updates == 6
        assert same_state(net, self.plain(self.decaying_sgd))

    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_detached_in_the_middle_it_goes_on_as_plain_training_would(self, method) -> None:
        net = tiny_net()
        optimizer = Adam(net.parameters(), lr=1e-2)
        handle = attach(optimizer, net, method)
        train(net, optimizer, 3)
        handle.detach()
        twin = tiny_net()
        twin.load_state_dict(net.state_dict())
        plain = Adam(twin.parameters(), lr=1e-2)
        plain.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(net, optimizer, 3, first=3)
        train(twin, plain, 3, first=3)
        assert same_state(net, twin)

    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_detaching_leaves_a_plain_optimizer_and_a_plain_model(self, method) -> None:
        net = tiny_net()
        optimizer = self.decaying_sgd(net.parameters())
        twin = tiny_net()
        plain = self.decaying_sgd(twin.parameters())
        keys = list(net.state_dict())
        handle = attach(optimizer, net, method)
        assert list(net.state_dict()) == keys
        for one, other in ((net, optimizer), (twin, plain)):
            train(one, other, 2)
        handle.detach()
        handle.detach()  # a second time does no harm
        assert not net._forward_hooks
        assert not net._forward_pre_hooks
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert not optimizer._optimizer_state_dict_pre_hooks
        assert not optimizer._optimizer_load_state_dict_post_hooks
        assert optimizer.defaults == plain.defaults
        assert optimizer.state_dict().keys() == plain.state_dict().keys()
        assert optimizer.state_dict()["param_groups"] == plain.state_dict()["param_groups"]
        assert optimizer.state_dict()["state"].keys() == plain.state_dict()["state"].keys()

    def test_a_block_detaches_at_its_end_even_when_it_fails(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        with pytest.raises(KeyError), attach(optimizer, net, EVERY_UPDATE):
            raise KeyError
        assert not optimizer._optimizer_step_post_hooks


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


def test_one_optimizer_for_two_models_is_handled_by_joining_them() -> None:
    both = nn.ModuleDict({"left": tiny_net(0), "right": tiny_net(1)})
    optimizer = SGD(both.parameters(), lr=0.1)
    handle = attach(optimizer, both, EVERY_UPDATE, forward=lambda m: [see_batch(m["left"]), see_batch(m["right"])])
    assert handle.targets == ("left.0.weight", "left.3.weight", "right.0.weight", "right.3.weight")


def test_the_handle_says_what_it_does() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, EVERY_UPDATE)
    train(net, optimizer, 3)
    assert repr(handle) == f"<{EVERY_UPDATE!r} on 2 of 3 weights, 3 updates>"
    assert float(lengths(net).mean()) == pytest.approx(1)
