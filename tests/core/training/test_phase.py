"""On which updates a method acts: its interval, its phase, and before the first forward."""

import pytest
import torch
from helpers.training import are_unit, attached, lengths, see_batch, set_gradients, tiny_net, train, unit_after
from torch.optim import SGD

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import AttachError


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
    net, optimizer, handle = attached(method, updates_per_epoch=4)
    assert unit_after(net, 12, lambda update: train(net, optimizer, 1, first=update)) == acts
    assert handle.updates == 12


def test_the_sphere_holds_from_the_first_forward_on() -> None:
    net = attached(SphereDescent()).net
    assert are_unit(net, radius=2**0.5)
    assert net[0].weight.mean((1, 2, 3)).abs().max() < 1e-7


@pytest.mark.parametrize(("begin", "end", "acts"), [(0, 2, [1, 2]), (1, None, [2, 3, 4]), (2, 3, [3])])
def test_a_shrink_keeps_to_its_phase(begin, end, acts) -> None:
    net, optimizer, _ = attached(AdaptiveWeightShrink(alpha=1.0, begin=begin, end=end), forward=see_batch)
    acted = []
    for update in range(1, 5):
        before = lengths(net)
        set_gradients(net)
        optimizer.step()
        if not torch.equal(before, lengths(net)):
            acted.append(update)
    assert acted == acts


class TestEpochs:
    def test_a_phase_in_epochs_needs_their_length(self) -> None:
        with pytest.raises(AttachError, match="updates_per_epoch"):
            attached(WeightRescaling(begin=1, unit="epoch"))

    def test_their_length_may_be_a_callable(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1)
        known = []
        method = WeightRescaling(interval=1, begin=1, end=2, unit="epoch")
        attach(optimizer, net, method, updates_per_epoch=lambda: known[0])
        known.append(3)
        assert unit_after(net, 8, lambda update: train(net, optimizer, 1, first=update)) == [4, 5, 6]
