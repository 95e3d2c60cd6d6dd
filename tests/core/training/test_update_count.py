"""What counts as an update, and on which updates a method acts."""

import copy
from collections.abc import Callable

import pytest
import torch
from helpers.optimizers import FUSED_ON_CPU
from helpers.training import are_unit, lengths, loss_on, same_state, see_batch, tiny_net, train
from torch import nn
from torch.optim import SGD, Adam, AdamW

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import AttachError

needs_cpu_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")
needs_fused = pytest.mark.skipif(not FUSED_ON_CPU, reason="fused optimizers on a CPU: torch >= 2.4")


def unit_after(net: nn.Module, updates: int, step: Callable[[int], None]) -> list[int]:
    """The updates, counted from 1, after which the first conv's filters had norm 1."""
    found = []
    for update in range(1, updates + 1):
        step(update)
        if are_unit(net):
            found.append(update)
    return found


@pytest.mark.parametrize(
    ("method", "acts"),
    [
        (WeightRescaling(interval=1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (WeightRescaling(interval=5), [5, 10]),
        (WeightRescaling(interval=5, at_start=True), [5, 10]),
        (WeightRescaling(interval=13), []),
        (WeightRescaling(interval=1, begin=3, end=6), [4, 5, 6]),
        (WeightRescaling(interval=2, begin=3, end=8), [4, 6, 8]),
        (WeightRescaling(interval=3, begin=9), [12]),
        (WeightRescaling(interval=1, end=2), [1, 2]),
        (WeightRescaling(interval=1, begin=1, end=2, unit="epoch"), [5, 6, 7, 8]),
        (WeightRescaling(interval=3, begin=1, unit="epoch"), [6, 9, 12]),
    ],
)
def test_it_acts_at_multiples_of_tau_within_its_phase(method, acts) -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, method, updates_per_epoch=4)
    assert unit_after(net, 12, lambda update: train(net, optimizer, 1, first=update)) == acts
    assert handle.updates == 12


def test_at_start_it_also_acts_before_the_first_forward() -> None:
    net = tiny_net()
    assert not are_unit(net)
    attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(interval=5, at_start=True, radius=2.0))
    assert are_unit(net, radius=2.0)


def test_the_sphere_holds_from_the_first_forward_on() -> None:
    net = tiny_net()
    attach(SGD(net.parameters(), lr=0.1), net, SphereDescent())
    assert are_unit(net, radius=2**0.5)
    assert net[0].weight.mean((1, 2, 3)).abs().max() < 1e-7


def test_the_sphere_holds_on_weights_that_were_loaded_after_attaching() -> None:
    net = tiny_net()
    handle = attach(SGD(net.parameters(), lr=0.1), net, SphereDescent())
    net.load_state_dict(tiny_net(1).state_dict())
    assert not are_unit(net, radius=2**0.5)
    see_batch(net.train())
    assert are_unit(net, radius=2**0.5)
    assert handle.updates == 0


@pytest.mark.parametrize(("begin", "end", "acts"), [(0, 2, [1, 2]), (1, None, [2, 3, 4]), (2, 3, [3])])
def test_a_shrink_keeps_to_its_phase(begin, end, acts) -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, AdaptiveWeightShrink(alpha=1.0, begin=begin, end=end), forward=see_batch)
    acted = []
    for update in range(1, 5):
        before = lengths(net)
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        if not torch.equal(before, lengths(net)):
            acted.append(update)
    assert acted == acts


class TestEpochs:
    def test_a_phase_in_epochs_needs_their_length(self) -> None:
        net = tiny_net()
        with pytest.raises(AttachError, match="updates_per_epoch"):
            attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(begin=1, unit="epoch"))

    def test_their_length_may_be_told_later(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        known = []
        method = WeightRescaling(interval=1, begin=1, end=2, unit="epoch")
        attach(optimizer, net, method, updates_per_epoch=lambda: known[0])
        known.append(3)
        assert unit_after(net, 8, lambda update: train(net, optimizer, 1, first=update)) == [4, 5, 6]


def test_accumulated_batches_are_one_update() -> None:
    net, twin = tiny_net(), tiny_net()
    optimizer, plain = (SGD(n.parameters(), lr=0.1) for n in (net, twin))
    handle = attach(optimizer, net, WeightRescaling(interval=2))
    other = attach(plain, twin, WeightRescaling(interval=2))
    for index in range(12):
        (loss_on(net, index) / 3).backward()
        if index % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
    for first in range(0, 12, 3):
        plain.zero_grad()
        sum(loss_on(twin, index) / 3 for index in range(first, first + 3)).backward()
        plain.step()
    assert handle.updates == other.updates == 4
    assert torch.allclose(net[0].weight, twin[0].weight, atol=1e-6)
    assert are_unit(net)


class TestClosures:
    METHODS = (WeightRescaling(interval=1), AdaptiveWeightShrink(alpha=0.5), SphereDescent())

    @pytest.mark.parametrize("by_name", [False, True])
    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_a_closure_trains_as_a_loop_does(self, method, by_name: bool) -> None:
        net, twin = tiny_net(), tiny_net()
        optimizer, plain = (Adam(n.parameters(), lr=1e-2) for n in (net, twin))
        for n, o in ((net, optimizer), (twin, plain)):
            attach(o, n, method)
        for index in range(4):

            def closure(index: int = index) -> torch.Tensor:
                optimizer.zero_grad()
                loss = loss_on(net, index)
                loss.backward()
                return loss

            loss = optimizer.step(closure=closure) if by_name else optimizer.step(closure)
            train(twin, plain, 1, first=index)
            assert isinstance(loss, torch.Tensor)
        assert same_state(net, twin)

    def test_the_closure_runs_once_and_the_method_right_after_it(self) -> None:
        """A shrink must see this step's gradients complete, and the closure the weights before the shrink."""
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        attach(optimizer, net, AdaptiveWeightShrink(alpha=1.0), forward=see_batch)
        seen = []

        def closure() -> float:
            seen.append(lengths(net))
            for p in net.parameters():
                p.grad = torch.zeros_like(p)
            return 0.5

        before = lengths(net)
        assert optimizer.step(closure) == 0.5
        assert len(seen) == 1
        assert torch.equal(seen[0], before)
        assert torch.allclose(lengths(net), (1 - 0.1 * before) * before)

    def test_centring_meets_the_gradients_that_the_closure_made(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        attach(optimizer, net, SphereDescent(), forward=see_batch)

        def closure() -> None:
            for p in net.parameters():
                p.grad = torch.ones_like(p)

        before = net[0].weight.detach().clone()
        optimizer.step(closure)
        assert torch.allclose(net[0].weight, before, atol=1e-6)
        assert not net[0].weight.grad.any()


@needs_cpu_scaler
class TestGradScaler:
    """A skipped step is no update. It must change neither the count nor the weights nor their statistics."""

    METHODS = (WeightRescaling(interval=3), AdaptiveWeightShrink(alpha=0.2), SphereDescent())

    @staticmethod
    def run(net: nn.Module, optimizer: torch.optim.Optimizer, overflows: set[int], updates: int) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
        for index in range(updates):
            optimizer.zero_grad()
            scaler.scale(loss_on(net, index)).backward()
            if index in overflows:
                net[8].weight.grad[0, 0] = torch.inf
            before = {name: p.detach().clone() for name, p in net.named_parameters()}
            scaler.step(optimizer)
            scaler.update()
            assert all(torch.equal(p, before[name]) for name, p in net.named_parameters()) == (index in overflows)

    @pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_fused)])
    @pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
    def test_skipped_steps_are_as_if_they_had_not_been(self, method, fused: bool) -> None:
        net, twin = tiny_net(), tiny_net()
        optimizer, plain = (AdamW(n.parameters(), lr=1e-2, fused=fused) for n in (net, twin))
        handle, other = attach(optimizer, net, method), attach(plain, twin, method)
        overflows = {0, 4, 5, 7}
        self.run(net, optimizer, overflows, 10)
        for index in set(range(10)) - overflows:
            train(twin, plain, 1, first=index)
        assert handle.updates == other.updates == 6
        for p, q in zip(net.parameters(), twin.parameters()):
            assert torch.allclose(p, q, atol=1e-5)

    @pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_fused)])
    def test_it_acts_at_multiples_of_tau_of_what_was_not_skipped(self, fused: bool) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1, fused=fused)
        attach(optimizer, net, WeightRescaling(interval=2), forward=see_batch)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)

        def step(call: int) -> None:
            optimizer.zero_grad()
            scaler.scale(loss_on(net, call)).backward()
            if call in (2, 3, 6):
                net[0].weight.grad[0] = torch.nan
            scaler.step(optimizer)
            scaler.update()

        # Calls 1, 4, 5, 7, 8 are updates 1 to 5. After a skip the weights are as they were: still unit after call 6? It
        # follows update 3, so no.
        assert unit_after(net, 8, step) == [4, 7]

    @needs_fused
    def test_a_fused_count_is_right_whenever_it_is_asked_for(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1, fused=True)
        handle = attach(optimizer, net, WeightRescaling(interval=100))
        counts, saved = [], []
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
        for index in range(6):
            optimizer.zero_grad()
            scaler.scale(loss_on(net, index)).backward()
            if index in (0, 3):
                net[0].weight.grad[0] = torch.inf
            scaler.step(optimizer)
            scaler.update()
            if index % 2:
                counts.append(handle.updates)
            else:
                saved.append(optimizer.state_dict()["param_groups"][0]["normreg_plugins"]["updates"])
        assert (counts, saved) == ([1, 2, 4], [0, 2, 3])

    @needs_fused
    def test_steps_that_were_not_read_yet_are_forgotten_when_a_state_is_loaded(self) -> None:
        """They belong to the training that the loaded state replaces."""
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1, fused=True)
        handle = attach(optimizer, net, WeightRescaling(interval=100))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
        saved = []
        for index in range(5):
            optimizer.zero_grad()
            scaler.scale(loss_on(net, index)).backward()
            scaler.step(optimizer)
            scaler.update()
            if index == 1:
                saved = copy.deepcopy(optimizer.state_dict())
        optimizer.load_state_dict(saved)  # three steps were made since, and not read
        assert handle.updates == 2
