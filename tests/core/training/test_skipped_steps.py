"""Steps that a gradient scaler skips are no updates, whoever knows of it first, the CPU or the device."""

import copy

import pytest
import torch
from helpers.no_waiting import NoWaiting
from helpers.optimizers import FUSED_ON_CPU
from helpers.training import loss_on, same_state, see_batch, tiny_net, train, unit_after
from torch import nn
from torch.optim import SGD, AdamW

from normreg_plugins import AdaptiveWeightShrink, Hyperball, SphereDescent, WeightDecay, WeightRescaling, attach
from normreg_plugins.core.training import skipped_steps

needs_cpu_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")
needs_fused = pytest.mark.skipif(not FUSED_ON_CPU, reason="fused optimizers on a CPU: torch >= 2.4")


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


@needs_cpu_scaler
@needs_fused
class TestTheDeviceDecides:
    """On a GPU a skip flag reaches the CPU late. Until then only the device knows what counts; nothing waits for it.

    On a CPU every flag is there at once. So these tests let flags arrive late.
    """

    PLANS = (WeightRescaling(interval=3), WeightRescaling(interval=1), SphereDescent())
    OVERFLOWS = (0, 4, 5, 7)

    @staticmethod
    def train(method, late: int | None, monkeypatch) -> tuple[nn.Module, list[int], int]:
        """Ten fused steps, four of them skipped. Each flag arrives so many steps late; never if that is None.

        Returns the net, the steps that left every weight as it was, and how often a flag was read too early.
        """
        net = tiny_net()
        optimizer = AdamW(net.parameters(), lr=1e-2, fused=True)
        handle = attach(optimizer, net, method, forward=see_batch)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
        step, born = 0, {}
        reads = 0

        def arrived(flag: skipped_steps.UnreadFlag) -> bool:
            return late is not None and step - born.setdefault(id(flag.flag), step) >= late

        take = skipped_steps.UnreadFlags.take

        def counted_take(flags: skipped_steps.UnreadFlags) -> int:
            nonlocal reads
            reads += len(flags) > 0 and not flags.all_arrived()
            return take(flags)

        monkeypatch.setattr(skipped_steps.UnreadFlag, "arrived", arrived)
        monkeypatch.setattr(skipped_steps.UnreadFlags, "take", counted_take)
        stayed = []
        for step in range(10):
            optimizer.zero_grad()
            scaler.scale(loss_on(net, step)).backward()
            if step in TestTheDeviceDecides.OVERFLOWS:
                net[8].weight.grad[0, 0] = torch.inf
            before = copy.deepcopy(net.state_dict())
            scaler.step(optimizer)
            scaler.update()
            if all(torch.equal(value, before[name]) for name, value in net.state_dict().items()):
                stayed.append(step)
        early = reads
        assert handle.updates == 6
        return net, stayed, early

    @pytest.mark.parametrize("late", [1, 3, None])
    @pytest.mark.parametrize("method", PLANS, ids=repr)
    def test_as_if_the_cpu_knew_at_once(self, method, late: int | None, monkeypatch) -> None:
        with monkeypatch.context() as patch:
            at_once, _, _ = self.train(method, 0, patch)
        net, stayed, early = self.train(method, late, monkeypatch)
        assert same_state(net, at_once)
        assert stayed == list(self.OVERFLOWS)
        assert early == 0

    def test_a_method_that_heeds_no_flag_has_it_read(self, monkeypatch) -> None:
        with monkeypatch.context() as patch:
            at_once, _, _ = self.train(Hyperball(), 0, patch)
        net, _, _ = self.train(Hyperball(), None, monkeypatch)
        assert same_state(net, at_once)

    def test_a_phase_reads_flags_only_at_its_ends(self, monkeypatch) -> None:
        _, _, early = self.train(AdaptiveWeightShrink(alpha=0.2, begin=100), None, monkeypatch)
        assert early == 0

    @pytest.mark.parametrize("method", [*PLANS, AdaptiveWeightShrink(), WeightDecay()], ids=repr)
    def test_no_step_reads_a_value_while_no_flag_has_arrived(self, method, monkeypatch) -> None:
        monkeypatch.setattr(skipped_steps.UnreadFlag, "arrived", lambda _: False)
        net = tiny_net()
        optimizer = AdamW(net.parameters(), lr=1e-2, fused=True)
        handle = attach(optimizer, net, method, forward=see_batch)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
        for index in range(4):
            optimizer.zero_grad()
            scaler.scale(loss_on(net, index)).backward()
            with NoWaiting():
                scaler.step(optimizer)
            scaler.update()
        assert handle.updates == 4
