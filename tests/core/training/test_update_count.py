"""What counts as an update: accumulated batches and closures."""

import pytest
import torch
from helpers.training import are_unit, lengths, loss_on, same_state, see_batch, tiny_net, train
from torch.optim import SGD, Adam

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach


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
