"""What counts as an update: accumulated batches, closures, and steps that a gradient scaler skips."""

from functools import partial

import pytest
import torch
from helpers.optimizers import FUSED_ON_CPU
from helpers.training import (
    are_unit,
    attached,
    lengths,
    loss_on,
    same_state,
    see_batch,
    set_gradients,
    tiny_net,
    train,
    unit_after,
)
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from normreg_plugins import AdaptiveWeightShrink, CorrectedDecay, Hyperball, SphereDescent, WeightRescaling, attach

needs_cpu_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")
needs_fused = pytest.mark.skipif(not FUSED_ON_CPU, reason="fused optimizers on a CPU: torch >= 2.4")


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

    def test_a_step_that_calls_its_closure_twice_is_shrunk_once(self) -> None:
        class Twice(Optimizer):
            """Moves nothing, as SGD does with gradients of 0."""

            def step(self, closure):
                closure()
                closure()

        make = partial(Twice, defaults={"lr": 0.1})
        net, optimizer, _ = attached(AdaptiveWeightShrink(alpha=1.0), make, forward=see_batch)
        before = lengths(net)
        optimizer.step(lambda: set_gradients(net))
        assert torch.allclose(lengths(net), (1 - 0.1 * before) * before)


@needs_cpu_scaler
class TestGradScaler:
    """A skipped step is no update. It must change neither the count nor the weights nor their statistics."""

    METHODS = (
        WeightRescaling(interval=3),
        AdaptiveWeightShrink(alpha=0.2),
        SphereDescent(),
        Hyperball(),
        CorrectedDecay(0.2),
    )

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
    def test_skipped_steps_change_nothing(self, method, fused: bool) -> None:
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


class CallsItsBase(SGD):
    def step(self, closure=None):
        return super().step(closure)


@pytest.mark.parametrize("with_closure", [False, True])
def test_a_step_that_calls_the_step_of_its_base_class_is_one_update(with_closure: bool) -> None:
    """torch calls the hooks in both, once any optimizer of the base class exists."""
    net, twin = tiny_net(), tiny_net()
    optimizer, plain = CallsItsBase(net.parameters(), lr=0.1), SGD(twin.parameters(), lr=0.1)
    method = AdaptiveWeightShrink(alpha=0.5)
    handle = attach(optimizer, net, method)
    attach(plain, twin, method)
    for index in range(4):
        if with_closure and index == 2:
            with pytest.raises(ZeroDivisionError):  # a step that fails leaves nothing behind
                optimizer.step(lambda: 1 / 0)

        def closure(index: int = index) -> torch.Tensor:
            optimizer.zero_grad()
            loss = loss_on(net, index)
            loss.backward()
            return loss

        optimizer.step(closure) if with_closure else (closure(), optimizer.step())
    train(twin, plain, 4)
    assert handle.updates == 4
    assert same_state(net, twin)
