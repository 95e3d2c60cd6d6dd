"""Optimizer state may follow a rescale: gradients of a filter scaled by a go as 1 / a, their squares as 1 / a^2."""

import pytest
import torch
from core.measures import relative_error, without_eps
from core.training import loss_on, see_batch, tiny_net, train
from torch import optim
from torch.optim import SGD, Adam, AdamW, RMSprop

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.errors import AttachError

OPTIMIZERS = {
    "SGD momentum": (lambda p: SGD(p, lr=0.1, momentum=0.9), {"momentum_buffer": 1}),
    "Adam": (lambda p: Adam(p, lr=1e-2), {"exp_avg": 1, "exp_avg_sq": 2}),
    "AdamW amsgrad": (
        lambda p: AdamW(p, lr=1e-2, amsgrad=True),
        {"exp_avg": 1, "exp_avg_sq": 2, "max_exp_avg_sq": 2},
    ),
    "RMSprop": (lambda p: RMSprop(p, lr=1e-3, centered=True), {"square_avg": 2, "grad_avg": 1}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("transport", [False, True])
def test_state_follows_filter_by_filter_where_that_is_asked_for(name: str, transport: bool) -> None:
    make, powers = OPTIMIZERS[name]
    net, twin = tiny_net(), tiny_net()
    optimizer, plain = make(net.parameters()), make(twin.parameters())
    method = WeightRescaling(interval=3, transport_state=transport, keep_weight_decay=True)
    attach(optimizer, net, method, forward=see_batch)
    train(net, optimizer, 3)
    train(twin, plain, 3)
    for ours, theirs in ((net[0], twin[0]), (net[3], twin[3])):
        factor = 1 / theirs.weight.detach().flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        assert relative_error(ours.weight, factor * theirs.weight) < 1e-6
        for key, power in powers.items():
            expected = plain.state[theirs.weight][key] / (factor**power if transport else 1)
            assert relative_error(optimizer.state[ours.weight][key], expected) < 1e-6
    assert all(
        torch.equal(optimizer.state[p][key], plain.state[q][key])
        for p, q in ((net[8].weight, twin[8].weight), (net[1].weight, twin[1].weight))
        for key in powers
    )


@pytest.mark.parametrize(
    ("make", "power"),
    [(lambda p: SGD(p, lr=0.1, momentum=0.9), 2), (lambda p: Adam(p, lr=1e-2, eps=1e-30), 1)],
    ids=["SGD momentum", "Adam"],
)
def test_a_transported_rescale_is_a_learning_rate(make, power: int) -> None:
    """Filters of length 3 trained on at rate eta, and the same brought to length 1 at eta / 9 (SGD) or eta / 3 (Adam):
    the same directions (L2 paper, Sections 3.1, 5.1 and 5.3), but only if the momentum came along."""
    gaps = {}
    for transport in (True, False):
        long, short = (without_eps(tiny_net().double()) for _ in range(2))
        optimizers = [make([net[0].weight]) for net in (long, short)]
        for net, optimizer in zip((long, short), optimizers):
            with attach(optimizer, net, WeightRescaling(interval=1, radius=3.0)):
                train(net, optimizer, 2)
        unit = WeightRescaling(interval=100, radius=1.0, transport_state=transport)
        attach(optimizers[1], short, unit, forward=see_batch).reapply()
        optimizers[1].param_groups[0]["lr"] /= 3.0**power
        for net, optimizer in zip((long, short), optimizers):
            train(net, optimizer, 3, first=2)
        gaps[transport] = relative_error(3.0 * short[0].weight, long[0].weight)
    assert gaps[True] < 1e-10
    assert gaps[False] > 1e-3


@pytest.mark.parametrize(("make", "entry"), [(optim.Rprop, "prev"), (optim.ASGD, "ax"), (optim.Adadelta, "acc_delta")])
def test_state_that_nobody_knows_how_to_carry_is_refused(make, entry: str) -> None:
    net = tiny_net()
    optimizer = make(net.parameters())
    train(net, optimizer, 2)
    with pytest.raises(AttachError, match=f"{make.__name__} keeps '{entry}'"):
        attach(optimizer, net, WeightRescaling(interval=1, transport_state=True), forward=see_batch)


def test_a_state_that_appears_later_is_refused_when_it_appears() -> None:
    net = tiny_net()
    optimizer = optim.Rprop(net.parameters())
    attach(optimizer, net, WeightRescaling(interval=1, transport_state=True), forward=see_batch)
    loss_on(net, 0).backward()
    with pytest.raises(AttachError, match="Rprop keeps"):
        optimizer.step()
