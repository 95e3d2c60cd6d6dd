"""What changes between attach and the end of training: frozen weights, groups, layers, rates. Nothing is silent."""

import copy

import pytest
import torch
from helpers.measures import change, outputs
from helpers.nets import bn, conv
from helpers.training import (
    INVARIANT,
    are_unit,
    attached,
    decays_in_a_step,
    lengths,
    same_state,
    see_batch,
    tiny_net,
    train,
)
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.optim import SGD

from normreg_plugins import AdaptiveWeightShrink, Hyperball, Method, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import StructureMismatchError, TrainingLoopWarning, UnconfirmedWarning

DECAY = 0.03
EVERY_UPDATE = WeightRescaling(interval=1)
INITIAL = WeightRescaling(interval=1, radius="initial")


def frozen_net() -> nn.Sequential:
    net = tiny_net()
    net[0].requires_grad_(False)
    return net


def decaying(parameters) -> SGD:
    return SGD(parameters, lr=0.1, weight_decay=DECAY)


class TestFrozen:
    @pytest.mark.parametrize("forward", [None, see_batch])
    def test_a_frozen_weight_is_taken_at_the_next_update_after_it_is_unfrozen(self, forward, caplog) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE, decaying, frozen_net(), forward=forward)
        before = net[0].weight.clone()
        train(net, optimizer, 2)
        assert handle.targets == ("3.weight",)
        assert "frozen" in handle.left_alone["0.weight"]
        assert torch.equal(net[0].weight, before)
        net[0].requires_grad_(True)
        with caplog.at_level("INFO", logger="normreg_plugins"):
            train(net, optimizer, 1)
        assert "takes 0.weight from update 3 on" in caplog.text
        assert handle.targets == INVARIANT
        assert are_unit(net)
        assert decays_in_a_step(net, optimizer)["0.weight"] == 0

    def test_it_keeps_to_interval_and_phase(self) -> None:
        net, optimizer, _ = attached(WeightRescaling(interval=2, begin=3, end=6), net=frozen_net())
        net[0].requires_grad_(True)
        acted = []
        for update in range(1, 9):
            train(net, optimizer, 1, first=update)
            acted += [update] if are_unit(net) else []
        assert acted == [4, 6]

    @pytest.mark.parametrize("method", [INITIAL, Hyperball(per="filter")])
    @pytest.mark.parametrize("frozen_at_attach", [True, False])
    def test_it_gets_the_norm_that_it_has_when_it_is_unfrozen(self, method: Method, frozen_at_attach: bool) -> None:
        net = frozen_net() if frozen_at_attach else tiny_net()
        _, optimizer, _ = attached(method, net=net)
        net.load_state_dict(tiny_net(1).state_dict())
        with torch.no_grad():
            net[0].weight.mul_(3)
        expected = lengths(net)
        net[0].requires_grad_(False)
        train(net, optimizer, 2)
        net[0].requires_grad_(True)
        train(net, optimizer, 3)
        assert torch.allclose(lengths(net), expected, rtol=1e-5)

    def test_a_compiled_model_gets_the_norms_that_were_loaded(self) -> None:
        """Its first forward cannot be traced."""
        net = tiny_net()
        compiled, optimizer, _ = attached(INITIAL, net=torch.compile(net, backend="eager"))
        net.load_state_dict(tiny_net(1).state_dict())
        expected = lengths(net)
        with pytest.warns(UnconfirmedWarning):
            train(compiled, optimizer, 2)
        assert torch.allclose(lengths(net), expected, rtol=1e-5)

    def test_a_sphere_takes_it_too(self) -> None:
        net, optimizer, _ = attached(SphereDescent(), net=frozen_net())
        train(net, optimizer, 1)
        assert not are_unit(net, radius=2**0.5)
        net[0].requires_grad_(True)
        train(net, optimizer, 1)
        assert are_unit(net, radius=2**0.5)

    @pytest.mark.parametrize("method", [INITIAL, EVERY_UPDATE, AdaptiveWeightShrink(0.1), SphereDescent()])
    @pytest.mark.parametrize("saved_after", [2, 4])
    def test_a_run_that_unfreezes_at_update_3_resumes_bit_for_bit(self, method: Method, saved_after: int) -> None:
        def go_on(net: nn.Module, optimizer: SGD, begin: int, end: int) -> None:
            for update in range(begin, end):
                net[0].requires_grad_(update >= 3)
                train(net, optimizer, 1, first=update)

        net, optimizer, _ = attached(method, net=frozen_net())
        go_on(net, optimizer, 0, saved_after)
        saved = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
        go_on(net, optimizer, saved_after, 7)
        twin, other, handle = attached(method, net=frozen_net())
        twin.load_state_dict(saved[0])
        other.load_state_dict(saved[1])
        go_on(twin, other, saved_after, 7)
        assert same_state(net, twin)
        assert handle.targets == INVARIANT

    @pytest.mark.parametrize("select", [None, ["0", "3"]])
    def test_a_model_that_is_all_frozen_warns_and_waits(self, select) -> None:
        net = tiny_net().requires_grad_(False)
        net[8].requires_grad_(True)
        with pytest.warns(TrainingLoopWarning, match=r"no weight to act on.*2 x frozen.*1 x free.*until"):
            _, optimizer, handle = attached(EVERY_UPDATE, net=net, select=select)
        train(net, optimizer, 2)
        assert "stayed frozen through all 2 updates" in handle.never_acted
        net.requires_grad_(True)
        train(net, optimizer, 1)
        assert are_unit(net)
        assert not handle.never_acted


class TestGroupsThatAreAdded:
    @pytest.mark.parametrize("frozen", [False, True])
    def test_their_weights_are_taken_and_lose_their_decay(self, frozen: bool) -> None:
        net = tiny_net()
        net[0].requires_grad_(not frozen)
        optimizer = decaying(net[3:].parameters())
        handle = attach(optimizer, net, EVERY_UPDATE)
        assert ("frozen" if frozen else "does not hold it") in handle.left_alone["0.weight"]
        train(net, optimizer, 2)
        net[0].requires_grad_(True)
        optimizer.add_param_group({"params": list(net[:3].parameters())})
        train(net, optimizer, 1, first=2)
        assert handle.targets == INVARIANT
        assert are_unit(net)
        decays = decays_in_a_step(net, optimizer)
        assert (decays["0.weight"], decays["1.weight"]) == (0, DECAY)
        handle.detach()
        groups = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        assert groups == [[id(p) for p in part.parameters()] for part in (net[3:], net[:3])]
        assert {group["weight_decay"] for group in optimizer.param_groups} == {DECAY}

    def test_a_run_that_added_one_resumes(self) -> None:
        def start() -> tuple[nn.Module, SGD]:
            net = tiny_net()
            optimizer = decaying(net[3:].parameters())
            attach(optimizer, net, INITIAL)
            return net, optimizer

        net, optimizer = start()
        train(net, optimizer, 2)
        optimizer.add_param_group({"params": list(net[:3].parameters())})
        train(net, optimizer, 2, first=2)
        twin, other = start()
        other.add_param_group({"params": list(twin[:3].parameters())})
        twin.load_state_dict(net.state_dict())
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(net, optimizer, 2, first=4)
        train(twin, other, 2, first=4)
        assert same_state(net, twin)

    def test_what_the_first_forward_refuted_is_left_alone(self) -> None:
        class Branched(nn.Sequential):
            def forward(self, x):
                y = self[0](x)
                y = y + self[1](y)
                for layer in [*self][2:]:
                    y = layer(y)
                return y

        net = Branched(*tiny_net())
        optimizer = SGD(net[3:].parameters(), lr=0.1)
        handle = attach(optimizer, net, EVERY_UPDATE)
        train(net, optimizer, 1)
        optimizer.add_param_group({"params": list(net[:3].parameters())})
        train(net, optimizer, 1)
        assert handle.targets == ("3.weight",)
        assert "shows unsafe" in handle.left_alone["0.weight"]


class TestAttachedAgain:
    def test_the_count_goes_on(self) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE)
        train(net, optimizer, 3)
        handle.detach()
        again = attach(optimizer, net, WeightRescaling(interval=5))
        assert again.updates == 3
        train(net, optimizer, 2)
        assert are_unit(net)

    def test_norms_of_the_start_stay_and_what_is_new_has_its_own(self) -> None:
        net, optimizer, handle = attached(INITIAL, net=frozen_net())
        expected = lengths(net, "3.weight")
        train(net, optimizer, 2)
        handle.detach()
        with torch.no_grad():
            net[0].weight.mul_(2)
            net[3].weight.mul_(2)
        own = lengths(net)
        net[0].requires_grad_(True)
        attach(optimizer, net, INITIAL)
        train(net, optimizer, 1)
        assert torch.allclose(lengths(net), own)
        assert torch.allclose(lengths(net, "3.weight"), expected)

    def test_another_method_starts_with_the_count_alone(self) -> None:
        net, optimizer, handle = attached(INITIAL)
        train(net, optimizer, 2)
        handle.detach()
        handle = attach(optimizer, net, SphereDescent())
        assert handle.updates == 2
        assert are_unit(net, radius=2**0.5)
        handle.detach()
        assert attach(optimizer, net, Hyperball()).updates == 2
        train(net, optimizer, 1)
        assert net[0].weight.norm().item() == pytest.approx((2 * len(net[0].weight)) ** 0.5)

    def test_a_state_that_was_loaded_in_between_decides(self) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE)
        train(net, optimizer, 3)
        handle.detach()
        optimizer.load_state_dict(SGD(net.parameters(), lr=0.1).state_dict())
        assert attach(optimizer, net, EVERY_UPDATE).updates == 0


CHANGES = {
    "load_state_dict(assign=True)": (
        lambda net: net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True),
        r"0\.weight: .*load_state_dict\(assign=True\)",
    ),
    "another conv": (lambda net: net.__setitem__(0, conv(3, 6)), r"0\.weight: its layer was replaced"),
    "another norm": (lambda net: net.__setitem__(1, bn(6)), r"0\.weight: its norm layer 1 was replaced"),
    "another weight": (
        lambda net: setattr(net[0], "weight", nn.Parameter(net[0].weight.detach().clone())),
        r"0\.weight: .*another tensor",
    ),
    "pruned": (lambda net: prune.l1_unstructured(net[0], "weight", 0.5), r"0\.weight: .*pruned or parametrized"),
    "parametrized": (
        lambda net: parametrize.register_parametrization(net[0], "weight", nn.Identity()),
        r"0\.weight: .*pruned or parametrized",
    ),
}


class TestReplaced:
    @pytest.mark.parametrize("name", CHANGES)
    @pytest.mark.parametrize("forward", [None, see_batch])
    @pytest.mark.parametrize("updates", [0, 2])
    def test_it_is_named_before_the_next_update(self, name: str, forward, updates: int) -> None:
        apply, named = CHANGES[name]
        net, optimizer, _ = attached(EVERY_UPDATE, forward=forward)
        train(net, optimizer, updates)
        apply(net)
        before = copy.deepcopy(net[3].state_dict())
        traced = updates == 0 and forward is None
        if traced and name == "another norm":
            train(net, optimizer, 1)  # the first forward shows the new norm layer, which follows
            assert are_unit(net)
            return
        with pytest.raises(StructureMismatchError, match=r"0\.weight: the layer was changed" if traced else named):
            train(net, optimizer, 1)
        assert all(torch.equal(value, before[name]) for name, value in net[3].state_dict().items())

    def test_it_is_named_when_the_method_acts(self) -> None:
        net, optimizer, _ = attached(WeightRescaling(interval=3))
        train(net, optimizer, 1)
        net[1] = bn(6)
        train(net, optimizer, 1)
        with pytest.raises(StructureMismatchError, match="norm layer 1"):
            train(net, optimizer, 1)

    def test_after_a_new_attach_training_goes_on(self) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE)
        train(net, optimizer, 2)
        prune.l1_unstructured(net[0], "weight", 0.5)
        handle.detach()
        again = attach(optimizer, net, EVERY_UPDATE)
        train(net, optimizer, 1)
        assert (again.updates, again.targets) == (3, ("3.weight",))

    @pytest.mark.parametrize("held", [True, False])
    def test_a_layer_that_is_added_is_named_once(self, held: bool, recwarn) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE)
        train(net, optimizer, 1)
        net.insert(0, nn.Sequential(conv(3, 3), bn(3)))
        if held:
            optimizer.add_param_group({"params": list(net[0].parameters())})
        train(net, optimizer, 2)
        named = [str(w.message) for w in recwarn if w.category is TrainingLoopWarning]
        assert [message.split(":")[0] for message in named] == (["0.0.weight"] if held else [])
        handle.detach()
        assert "0.0.weight" in attach(optimizer, net, EVERY_UPDATE).targets or not held

    def test_a_new_head_is_none_of_its_business(self) -> None:
        net, optimizer, _ = attached(EVERY_UPDATE)
        train(net, optimizer, 1)
        net[8] = nn.Linear(8, 4)
        train(net, optimizer, 1)
        assert are_unit(net)

    def test_a_module_around_a_layer_may_change(self) -> None:
        net = nn.Sequential(nn.Sequential(*tiny_net()[:3]), *tiny_net()[3:])
        _, optimizer, _ = attached(EVERY_UPDATE, net=net)
        train(net, optimizer, 1)
        net[0] = nn.Sequential(net[0])
        train(net, optimizer, 1)
        assert are_unit(net, "0.0.0.weight")

    @pytest.mark.parametrize("updates", [0, 1])
    def test_sync_batch_norm_that_is_converted_later(self, updates: int, monkeypatch) -> None:
        net, optimizer, _ = attached(EVERY_UPDATE, lambda parameters: SGD(parameters, lr=0.0))
        train(net, optimizer, updates)
        nn.SyncBatchNorm.convert_sync_batchnorm(net)
        monkeypatch.setattr(nn.SyncBatchNorm, "forward", nn.BatchNorm2d.forward)  # its own needs a GPU to train
        optimizer.zero_grad()
        see_batch(net).backward()
        before = outputs(net, see_batch, train=False)
        if updates:
            with pytest.raises(StructureMismatchError, match=r"norm layer 1 was replaced after attach.*attach again"):
                optimizer.step()
        else:  # the first forward shows that the new layers have followed
            optimizer.step()
            assert are_unit(net)
            assert change(outputs(net, see_batch, train=False), before) < 3e-6


class TestNeverActed:
    @pytest.mark.parametrize(
        ("method", "why"),
        [
            (WeightRescaling(interval=10), "4 updates were made, and the first in which it acts is 10"),
            (WeightRescaling(interval=1, begin=5), "the first in which it acts is 6"),
            (WeightRescaling(interval=3, begin=3, end=5), "its phase has no multiple of its interval"),
            (WeightRescaling(interval=1, begin=3, unit="epoch"), "the first in which it acts is 7"),
            (AdaptiveWeightShrink(begin=4), "the first in which it acts is 5"),
        ],
    )
    def test_it_says_so_when_it_is_detached(self, method: Method, why: str) -> None:
        net, optimizer, handle = attached(method, updates_per_epoch=2)
        train(net, optimizer, 4)
        with pytest.warns(TrainingLoopWarning, match=f"never acted: .*{why}"):
            handle.detach()

    @pytest.mark.parametrize("method", [WeightRescaling(interval=4), SphereDescent(), Hyperball()])
    @pytest.mark.parametrize("updates", [0, 4])
    def test_what_acted_or_did_not_train_says_nothing(self, method: Method, updates: int, recwarn) -> None:
        net, optimizer, handle = attached(method)
        train(net, optimizer, updates)
        handle.detach()
        assert not recwarn
