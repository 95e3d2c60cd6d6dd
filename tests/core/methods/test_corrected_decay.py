"""Corrected decay: where its greatest rate comes from, and the equilibrium that it is made for."""

import math
from functools import partial

import pytest
import torch
from helpers.training import INVARIANT, attached, lengths, set_gradients, tiny_net, train
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

from normreg_plugins import CorrectedDecay, WeightDecay, attach, find_scale_invariant
from normreg_plugins.core.errors import NormRegError

DECAY = 0.3


def shrinks(net: nn.Module, optimizer: Optimizer, name: str = "0.weight") -> float:
    """By how much an update without gradients multiplies a weight."""
    before = lengths(net, name).clone()
    set_gradients(net)
    optimizer.step()
    return float((lengths(net, name) / before).mean())


def run(method: CorrectedDecay, **settings: float):
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, **settings)
    return net, optimizer, attach(optimizer, net, method, proof=find_scale_invariant(net))


@pytest.mark.parametrize(
    ("eta_max", "schedule", "expected"),
    [
        (None, lambda o: LambdaLR(o, lambda _: 0.2), 0.1),  # initial_lr, which the scheduler wrote
        (None, lambda o: OneCycleLR(o, max_lr=0.5, total_steps=100), 0.5),
        (None, lambda o: o.param_groups[0].update(lr=0.02), 0.02),  # the greatest so far
        (0.4, lambda o: OneCycleLR(o, max_lr=0.5, total_steps=100), 0.4),
    ],
)
def test_the_greatest_rate_is_given_written_or_seen(eta_max, schedule, expected: float) -> None:
    net, optimizer, _ = run(CorrectedDecay(DECAY, eta_max))
    schedule(optimizer)
    eta = optimizer.param_groups[0]["lr"]
    assert shrinks(net, optimizer) == pytest.approx(1 - eta**2 * DECAY / expected, rel=1e-6)


def test_the_greatest_rate_seen_is_remembered() -> None:
    net, optimizer, _ = run(CorrectedDecay(DECAY))
    for lr, peak in ((0.05, 0.05), (0.2, 0.2), (0.1, 0.2), (0.0, 0.2)):
        optimizer.param_groups[0]["lr"] = lr
        assert shrinks(net, optimizer) == pytest.approx(1 - lr**2 * DECAY / peak, rel=1e-6)


def test_each_group_has_its_own_rates_and_the_optimizers_decay_is_replaced() -> None:
    net = tiny_net()
    groups = [{"params": net[:3].parameters(), "lr": 0.1}, {"params": net[3:].parameters(), "lr": 0.4}]
    optimizer = SGD(groups, weight_decay=DECAY)
    handle = attach(optimizer, net, CorrectedDecay(), proof=find_scale_invariant(net))
    schedule = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    assert handle.targets == INVARIANT
    for factor in (1.0, 0.5):
        for name, peak in (("0.weight", 0.1), ("3.weight", 0.4)):
            before = lengths(net, name).clone()
            net[1].weight.data.fill_(1.0)
            rates = [group["lr"] for group in optimizer.param_groups]
            set_gradients(net)
            optimizer.step()
            eta = factor * peak
            assert torch.allclose(lengths(net, name), before * (1 - eta**2 * DECAY / peak), rtol=1e-6)
            assert torch.allclose(net[1].weight, torch.tensor(1 - rates[0] * DECAY), rtol=1e-6)  # plain decay
        schedule.step()


def test_the_decay_of_sgd_counts_with_its_momentum() -> None:
    net, optimizer, _ = run(CorrectedDecay(), weight_decay=0.03, momentum=0.9)
    assert shrinks(net, optimizer) == pytest.approx(1 - 0.1 * 0.03 / (1 - 0.9), rel=1e-6)


def test_without_a_decay_it_is_refused() -> None:
    net, optimizer, _ = attached(CorrectedDecay(), partial(SGD, lr=0.1))
    with pytest.raises(NormRegError, match="no weight decay on its weights; pass weight_decay="):
        train(net, optimizer, 1)


@pytest.mark.parametrize("decay_on", ["all", "kernels_and_gammas"])
def test_the_optimizers_own_decay_acts_once(decay_on) -> None:
    with pytest.raises(NormRegError, match=f"decay_on='{decay_on}': must be 'others'"):
        CorrectedDecay(decay_on=decay_on)
    net, optimizer, _ = run(CorrectedDecay(0.2, decay_on=decay_on), weight_decay=DECAY)  # who names both gets both
    assert shrinks(net, optimizer) == pytest.approx((1 - 0.1 * 0.2) * (1 - 0.1 * DECAY), rel=1e-3)


def gradient_to_norm(method, updates: int = 1500) -> tuple[float, float]:
    """||g|| / ||w|| at a quarter of a cosine and at its end, under noise that is like a true gradient."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(50, 20, bias=False), nn.BatchNorm1d(20))
    optimizer = SGD(net.parameters(), lr=0.1, weight_decay=DECAY)
    attach(optimizer, net, method, proof=find_scale_invariant(net))
    schedule = CosineAnnealingLR(optimizer, updates, eta_min=0.01)
    found = []
    for update in range(1, updates + 1):
        w = net[0].weight.detach()
        norms = w.norm(dim=1, keepdim=True)
        noise = torch.randn(w.shape)
        tangent = noise - (noise * w).sum(1, keepdim=True) * w / norms**2
        net[0].weight.grad = tangent / (50**0.5 * norms)  # orthogonal to w, and as 1 / ||w||
        if update in (updates // 4, updates):
            found.append(float((net[0].weight.grad.norm(dim=1) / norms[:, 0]).mean()))
        optimizer.step()
        schedule.step()
    return found[0], found[1]


def test_the_gradient_stays_in_proportion_to_the_norm_where_plain_decay_lets_it_grow() -> None:
    """At equilibrium it is sqrt(2 lambda / eta) under plain decay, sqrt(2 lambda / eta_max) under this one."""
    early, late = gradient_to_norm(CorrectedDecay())
    assert early == pytest.approx(math.sqrt(2 * DECAY / 0.1), rel=0.1)
    assert late == pytest.approx(early, rel=0.1)
    plain_early, plain_late = gradient_to_norm(WeightDecay())
    assert plain_late > 1.8 * plain_early
