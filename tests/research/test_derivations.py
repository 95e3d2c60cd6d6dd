"""What the papers derive, and draw as a derivation, on a real layer with a norm layer behind it."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from normreg_plugins import SphereDescent, WeightRescaling, attach
from normreg_plugins.layers import WSConv2d

ETA, DECAY = 0.1, 0.05


def net_of(conv: type[nn.Conv2d] = nn.Conv2d) -> tuple[nn.Sequential, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(conv(3, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-30)).double().train()
    return net, torch.randn(8, 3, 6, 6, dtype=torch.float64)


def gradient(net: nn.Module, x: Tensor) -> Tensor:
    net.zero_grad()
    y = net(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y).cos() + y.relu()).mean().backward()
    return net[0].weight.grad.flatten(1)


def train(net: nn.Module, x: Tensor, optimizer: SGD, updates: int) -> Tensor:
    for _ in range(updates):
        gradient(net, x)
        optimizer.step()
    return net[0].weight.detach().flatten(1)


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> bool:
    return float((found - expected).norm() / expected.norm()) < tolerance


def test_the_gradient_is_orthogonal_to_a_filter_and_goes_with_one_over_its_norm():
    """WRS paper, Lemma 3.1 and eq. 5; L2 paper, section 3."""
    net, x = net_of()
    g, w = gradient(net, x).clone(), net[0].weight.detach().flatten(1)
    assert ((g * w).sum(1).abs() / (g.norm(dim=1) * w.norm(dim=1))).max() < 1e-13
    net[0].weight.data.mul_(7)
    assert same(gradient(net, x), g / 7, 1e-10)


def test_weight_decay_in_small_steps_makes_the_norm_fall_exponentially():
    """WRS paper, Corollary 3.2 and Fig. 3a: ||w(t)||^2 = ||w(0)||^2 exp(-2 lambda t), where t is rate times updates."""
    net, x = net_of()
    first = net[0].weight.detach().flatten(1).norm(dim=1)
    last = train(net, x, SGD(net.parameters(), 1e-3, weight_decay=0.5), 400).norm(dim=1)
    assert last.pow(2) / first.pow(2) == pytest.approx(math.exp(-2 * 0.5 * 0.4), rel=2e-3)


def test_without_decay_a_step_adds_the_square_of_rate_and_gradient():
    """WRS paper, Corollary 3.3."""
    net, x = net_of()
    before, g = net[0].weight.detach().flatten(1).norm(dim=1), gradient(net, x).norm(dim=1)
    after = train(net, x, SGD(net.parameters(), ETA), 1).norm(dim=1)
    assert same(after.pow(2) - before.pow(2), ETA**2 * g.pow(2), 1e-9)


def test_a_rescale_at_each_update_of_sgd_is_normalized_sgd():
    """L2 paper, section 5.5: w <- w~ / ||w~|| with w~ = w - eta grad."""
    net, x = net_of()
    optimizer = SGD(net.parameters(), ETA)
    attach(optimizer, net, WeightRescaling(interval=1))
    w = net[0].weight.detach().flatten(1).clone()
    for _ in range(3):
        stepped = w - ETA * gradient(net, x)
        optimizer.step()
        w = stepped / stepped.norm(dim=1, keepdim=True)
        assert same(net[0].weight.detach().flatten(1), w)


def test_weight_decay_is_another_rate_at_each_update():
    """AWS paper, eq. 14-17 and Fig. 3: with d = 1 / (p^2 (1 - lambda eta)) and p <- (1 - lambda eta) p, the filter with
    decay is p times the one without, after every update."""
    decayed, x = net_of(WSConv2d)
    plain = copy.deepcopy(decayed)
    with_decay = SGD(
        [{"params": decayed[0].parameters(), "weight_decay": DECAY}, {"params": decayed[1].parameters()}], ETA
    )
    without = SGD([{"params": plain[0].parameters()}, {"params": plain[1].parameters()}], ETA)
    for module in (decayed[0], plain[0]):
        module.eps = 0.0  # eq. 25 as it is written
    p = 1.0
    for _ in range(6):
        without.param_groups[0]["lr"] = ETA / (p**2 * (1 - DECAY * ETA))
        p *= 1 - DECAY * ETA
        filters = train(decayed, x, with_decay, 1), train(plain, x, without, 1)
        assert same(filters[0], p * filters[1], 1e-10)


def test_a_shorter_filter_has_a_smaller_penalty_and_the_same_loss():
    """AWS paper, eq. 18-19: so the loss with weight decay has no minimum."""
    net, x = net_of(WSConv2d)
    net[0].eps = 0.0
    y = net(x).detach()
    net[0].weight.data.mul_(1e-3)
    assert same(net(x).detach(), y, 1e-9)


def test_a_step_on_the_sphere_is_a_centred_step_and_a_projection():
    """Constrained paper, eq. 11 and Fig. 1. Eq. 12-14 write it as decay and another rate, as printed for c = 1."""
    net, x = net_of()
    optimizer = SGD(net.parameters(), ETA)
    attach(optimizer, net, SphereDescent(c=1.0))
    for _ in range(3):
        w, g = net[0].weight.detach().flatten(1).clone(), gradient(net, x).clone()
        optimizer.step()
        centred = g - g.mean(1, keepdim=True)
        size = (w - ETA * centred).norm(dim=1, keepdim=True)
        beta, rate = 1 - 1 / size, ETA / size
        assert same(net[0].weight.detach().flatten(1), (1 - beta) * w - rate * centred)
