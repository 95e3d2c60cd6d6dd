"""WRS with radius='initial': each filter keeps the norm that it had when training began."""

import torch
from helpers.measures import change, outputs
from helpers.training import INVARIANT, attached, lengths, see_batch, tiny_net, train
from torch.optim import SGD

from normreg_plugins import WeightRescaling

INITIAL = WeightRescaling(interval=2, radius="initial")


def test_reapplying_it_keeps_the_function() -> None:
    net = tiny_net()
    train(net, SGD(net.parameters(), lr=0.1), 3)
    _, optimizer, handle = attached(INITIAL, net=net)
    train(net, optimizer, 3)
    before, moved = outputs(net, see_batch, train=False), lengths(net)
    handle.reapply()
    assert not torch.allclose(moved, lengths(net), rtol=1e-6)
    assert change(before, outputs(net, see_batch, train=False)) < 1e-4


def test_the_norms_of_weights_loaded_after_attaching_count() -> None:
    net, optimizer, _ = attached(INITIAL)
    net.load_state_dict(tiny_net(1).state_dict())
    train(net, optimizer, 4)
    for name in INVARIANT:
        assert torch.allclose(lengths(net, name), lengths(tiny_net(1), name), rtol=1e-6)
