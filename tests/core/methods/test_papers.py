"""What the papers say of the methods in equations, on real layers and real optimizers."""

import copy
import math

import pytest
import torch
from helpers import oracle
from helpers.layer_cases import LAYERS, batch_norm_for, filters, make_input, make_layer
from helpers.measures import as_trained, relative_error, without_eps
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, Optimizer

from normreg_plugins import (
    AdaptiveWeightShrink,
    SphereDescent,
    Verdicts,
    WeightRescaling,
    attach,
    find_scale_invariant,
)

ALPHA, ETA = 0.2, 0.1


def layer_and_norm(kind: str, samples: int = 8) -> tuple[nn.Module, Tensor]:
    layer = make_layer(kind)
    net = as_trained(nn.Sequential(layer, batch_norm_for(layer))).double()
    return without_eps(net), make_input(layer, samples).double()


def loss_of(net: nn.Module, x: Tensor) -> Tensor:
    y = net(x)
    return (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape).cos() + y.relu()).mean()


def train(net: nn.Module, x: Tensor, optimizer: Optimizer, updates: int) -> None:
    for _ in range(updates):
        optimizer.zero_grad()
        loss_of(net, x).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", LAYERS)
class TestWeightRescalingPaper:
    def test_rescaling_at_every_step_of_sgd_is_normalized_sgd(self, kind: str) -> None:
        """L2 paper, Section 5.5: w~ <- w - eta grad; w <- w~ / ||w~||, for each output unit."""
        net, x = layer_and_norm(kind)
        by_hand = copy.deepcopy(net)
        optimizer = SGD(net.parameters(), lr=ETA)
        attach(optimizer, net, WeightRescaling(interval=1))
        train(net, x, optimizer, 5)
        for _ in range(5):
            by_hand.zero_grad()
            loss_of(by_hand, x).backward()
            with torch.no_grad():
                for p in by_hand.parameters():
                    p.sub_(ETA * p.grad)
                for w in filters(by_hand[0], by_hand[0].weight):
                    w.div_(w.norm())
        assert relative_error(net[0].weight, by_hand[0].weight) < 1e-12
        assert relative_error(net[1].weight, by_hand[1].weight) < 1e-12


class TestAdaptiveWeightShrinkPaper:
    @staticmethod
    def direction(weight: Tensor) -> Tensor:
        return weight / weight.flatten(1).norm(dim=1)[:, None]

    def loss(self, weight: Tensor, x: Tensor) -> Tensor:
        """Eq. 6: the loss sees the weight's direction only."""
        return F.softplus(x @ self.direction(weight).T).square().mean()

    @pytest.mark.parametrize("norm_first", [1.0, 5.0, 20.0])
    def test_equation_21_one_step(self, norm_first: float) -> None:
        """w <- (1 - eta alpha ||w||) w - eta grad, with both of w before the step."""
        layer = nn.Linear(10, 4, bias=False).double()
        with torch.no_grad():
            layer.weight.mul_(norm_first / layer.weight.norm())
        start = layer.weight.detach().clone()
        optimizer = SGD(layer.parameters(), lr=ETA)
        attach(optimizer, layer, AdaptiveWeightShrink(ALPHA, "norm"), select="weight", proof=vouched(layer))
        self.loss(layer.weight, torch.randn(16, 10, dtype=torch.float64)).backward()
        gradient = layer.weight.grad.clone()
        optimizer.step()
        gamma = ALPHA * start.norm(dim=1, keepdim=True)
        assert relative_error(layer.weight, (1 - ETA * gamma) * start - ETA * gradient) < 1e-12

    def test_a_step_is_the_gradient_step_of_a_cubic_penalty(self) -> None:
        """d/dw (alpha / 3) ||w||^3 = alpha ||w|| w."""
        layer = nn.Conv2d(3, 4, 3, bias=False).double()
        twin = copy.deepcopy(layer)
        x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
        ours, plain = SGD(layer.parameters(), lr=ETA), SGD(twin.parameters(), lr=ETA)
        attach(ours, layer, AdaptiveWeightShrink(ALPHA, "norm"), select="weight", proof=vouched(layer))
        for _ in range(20):
            ours.zero_grad()
            layer(x).square().mean().backward()
            ours.step()
            plain.zero_grad()
            penalty = ALPHA / 3 * twin.weight.flatten(1).norm(dim=1).pow(3).sum()
            (twin(x).square().mean() + penalty).backward()
            plain.step()
        assert relative_error(layer.weight, twin.weight) < 1e-12

    def test_equation_22_the_norm_settles_at_the_same_value_from_any_start(self) -> None:
        """elr ~ 1 / ||w|| and gamma ~ ||w||: norms that begin 100 times apart end equal (Figure 6)."""
        alpha = 0.05
        found = []
        for first in (1.0, 100.0):
            torch.manual_seed(1)
            layer = nn.Linear(10, 1, bias=False).double()
            with torch.no_grad():
                layer.weight.mul_(first / layer.weight.norm())
            optimizer = SGD(layer.parameters(), lr=ETA)
            attach(optimizer, layer, AdaptiveWeightShrink(alpha, "norm"), select="weight", proof=vouched(layer))
            lengths = []
            for _ in range(2000):
                optimizer.zero_grad()
                (self.direction(layer.weight) @ torch.randn(10, dtype=torch.float64)).sum().backward()
                optimizer.step()
                lengths.append(float(layer.weight.norm().detach()))
            found.append(sum(lengths[-500:]) / 500)
        assert found[1] == pytest.approx(found[0], rel=1e-2)


class TestConstrainedPaper:
    @pytest.mark.parametrize("kind", LAYERS)
    def test_equation_11_with_sgd(self, kind: str) -> None:
        """w <- sqrt(c) (w - a (g - (1^T g) 1 / n)) / ||the same||: this is all that happens to a centred filter."""
        net, x = layer_and_norm(kind)
        optimizer = SGD(net.parameters(), lr=ETA)
        attach(optimizer, net, SphereDescent(c=2.0))
        for _ in range(5):
            before = net[0].weight.detach().clone()
            optimizer.zero_grad()
            loss_of(net, x).backward()
            raw = net[0].weight.grad.clone()
            optimizer.step()
            for w, old, g in zip(*(filters(net[0], t) for t in (net[0].weight, before, raw))):
                moved = old - ETA * (g - g.mean())
                assert relative_error(w, math.sqrt(2.0) * moved / moved.norm()) < 1e-12

    def test_equations_12_to_14_a_step_is_weight_decay_and_another_rate(self) -> None:
        """Eq. 13-14 as printed hold for c = 1; in general both carry sqrt(c)."""
        net, x = layer_and_norm("conv2d")
        optimizer = SGD(net.parameters(), lr=ETA)
        attach(optimizer, net, SphereDescent(c=1.0))
        before = net[0].weight.detach().clone()
        loss_of(net, x).backward()
        raw = net[0].weight.grad.clone()
        optimizer.step()
        for w, old, g in zip(*(filters(net[0], t) for t in (net[0].weight, before, raw))):
            centred = g - g.mean()
            size = (old - ETA * centred).norm()
            beta, rate = 1 - 1 / size, ETA / size
            assert relative_error(w, (1 - beta) * old - rate * centred) < 1e-12

    def test_equation_5_a_centred_filter_does_not_see_the_mean_of_its_input(self) -> None:
        layer = nn.Linear(10, 4, bias=False).double()
        attach(SGD(layer.parameters(), lr=ETA), layer, SphereDescent(), select="weight", proof=vouched(layer))
        x = torch.randn(5, 10, dtype=torch.float64)
        assert relative_error(layer(x + 100.0), layer(x)) < 1e-11

    @pytest.mark.parametrize("kind", LAYERS)
    @pytest.mark.parametrize("centred_alone", [False, True])
    def test_means_stay_zero_under_adam(self, kind: str, centred_alone: bool) -> None:
        """Adam scales a zero-mean gradient entry by entry, so centring the gradient alone (the paper's Algorithm 1)
        loses the constraint of eq. 2; the method does not."""
        net, x = layer_and_norm(kind)
        optimizer = Adam(net.parameters(), lr=1e-2)
        handle = attach(optimizer, net, SphereDescent())
        if centred_alone:
            handle.detach()
            optimizer.register_step_pre_hook(lambda *_: center_gradient(net[0]))
        train(net, x, optimizer, 20)
        means = [abs(oracle.mean(f)) for f in filters(net[0], net[0].weight)]
        squares = [length**2 for length in oracle.lengths(net[0], net[0].weight)]
        if centred_alone:
            assert max(means) > 1e-3
        else:
            assert max(means) < 1e-15
            assert squares == pytest.approx([2.0] * len(squares), rel=1e-12)


def center_gradient(layer: nn.Module) -> None:
    layer.weight.grad.copy_(oracle.pgd_gradient(layer, layer.weight.grad))


def vouched(layer: nn.Module) -> Verdicts:
    """For a loss that uses the weight without its layer: there is no forward to trace."""
    return find_scale_invariant(layer)
