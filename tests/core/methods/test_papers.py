"""What the four papers prove or claim in equations, on real layers and real optimizers."""

import copy
import math

import pytest
import torch
from helpers import oracle
from helpers.layer_cases import LAYERS, batch_norm_for, filters, make_input, make_layer
from helpers.measures import as_trained, relative_error, without_eps
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam

from normreg_plugins import (
    AdaptiveWeightShrink,
    SphereDescent,
    Verdicts,
    WeightRescaling,
    attach,
    find_scale_invariant,
)

ALPHA, ETA, LAMBDA = 0.2, 0.1, 0.05
PULL = 20.0
"""Makes the loss move filters without a norm layer by a few percent or more within time 1 of Corollary 3.2."""


def layer_and_norm(kind: str, samples: int = 8) -> tuple[nn.Module, Tensor]:
    layer = make_layer(kind)
    net = as_trained(nn.Sequential(layer, batch_norm_for(layer))).double()
    return without_eps(net), make_input(layer, samples).double()


def loss_of(net: nn.Module, x: Tensor) -> Tensor:
    y = net(x)
    return (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape).cos() + y.relu()).mean()


def weights_after(
    net: nn.Module, x: Tensor, optimizer: torch.optim.Optimizer, updates: int, strength: float = 1.0
) -> Tensor:
    for _ in range(updates):
        optimizer.zero_grad()
        (strength * loss_of(net, x)).backward()
        optimizer.step()
    return net[0].weight.detach().clone()


@pytest.mark.parametrize("kind", LAYERS)
class TestWeightRescalingPaper:
    def test_lemma_3_1_the_gradient_is_orthogonal_to_the_filter(self, kind: str) -> None:
        net, x = layer_and_norm(kind)
        loss_of(net, x).backward()
        for w, g in zip(filters(net[0], net[0].weight), filters(net[0], net[0].weight.grad)):
            assert g.norm() > 0
            assert abs((w.detach() * g).sum() / (w.detach().norm() * g.norm())) < 1e-12

    def test_corollary_3_2_small_steps_of_weight_decay_shrink_it_exponentially(self, kind: str) -> None:
        """||W(t)||^2 = ||W(0)||^2 exp(-2 lambda t) as the rate eta goes to 0, with t = n eta after n steps.

        The loss pulls at full strength all the while. Its gradient is orthogonal to the filter (Lemma 3.1), so what
        remains of it is O(eta): half the rate leaves half the gap. Without the norm layer the gap does not close.
        """
        gaps = {norm: [self.gap_to_exponential(kind, norm, steps) for steps in (100, 200)] for norm in (True, False)}
        assert gaps[True][1] == pytest.approx(gaps[True][0] / 2, rel=0.1)
        assert abs(2 * gaps[True][1] - gaps[True][0]) < 1e-6  # extrapolated to eta = 0
        assert abs(2 * gaps[False][1] - gaps[False][0]) > 2e-2

    def gap_to_exponential(self, kind: str, norm: bool, steps: int) -> float:
        """How far the mean squared norm of the filters is from the corollary's at time 1, as a share of it."""
        torch.manual_seed(0)
        net, x = layer_and_norm(kind)
        net = net if norm else net[:1]
        before = oracle.as_vector(oracle.lengths(net[0], net[0].weight)).square().mean()
        weights_after(net, x, SGD(net[:1].parameters(), lr=1 / steps, weight_decay=LAMBDA), steps, PULL)
        after = oracle.as_vector(oracle.lengths(net[0], net[0].weight)).square().mean()
        return float(after / (before * math.exp(-2 * LAMBDA)) - 1)

    def test_corollary_3_3_a_step_of_sgd_adds_its_square_to_the_length(self, kind: str) -> None:
        net, x = layer_and_norm(kind)
        loss_of(net, x).backward()
        eta = float(net[0].weight.detach().norm() / net[0].weight.grad.norm())  # a step as long as the weight
        before = oracle.as_vector(oracle.lengths(net[0], net[0].weight))
        step = eta * oracle.as_vector(oracle.lengths(net[0], net[0].weight.grad))
        weights_after(net, x, SGD(net.parameters(), lr=eta), 1)
        after = oracle.as_vector(oracle.lengths(net[0], net[0].weight))
        assert relative_error(after.square() - before.square(), step.square()) < 1e-12

    def test_equation_5_the_gradient_grows_as_the_filter_shrinks(self, kind: str) -> None:
        net, x = layer_and_norm(kind)
        loss_of(net, x).backward()
        once = net[0].weight.grad.clone()
        with torch.no_grad():
            net[0].weight.mul_(0.25)
        net.zero_grad()
        loss_of(net, x).backward()
        assert relative_error(net[0].weight.grad, 4 * once) < 1e-9

    def test_rescaling_at_every_step_of_sgd_is_normalized_sgd(self, kind: str) -> None:
        """L2 paper, Section 5.5: w~ <- w - eta grad; w <- w~ / ||w~||, for each output unit."""
        net, x = layer_and_norm(kind)
        by_hand = copy.deepcopy(net)
        optimizer = SGD(net.parameters(), lr=ETA)
        attach(optimizer, net, WeightRescaling(interval=1))
        weights_after(net, x, optimizer, 5)
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

    def test_equations_14_to_17_weight_decay_is_a_schedule_of_learning_rates(self) -> None:
        """d_t = 1 / (p_t^2 (1 - lambda eta)) and p_{t+1} = (1 - lambda eta) p_t give the same directions, always."""
        x = torch.randn(16, 10, dtype=torch.float64)
        decayed = nn.Parameter(torch.randn(4, 10, dtype=torch.float64))
        p = 1.7
        plain = nn.Parameter(decayed.detach() / p)
        with_decay = SGD([decayed], lr=ETA, weight_decay=LAMBDA)
        without = SGD([plain], lr=ETA)
        for _ in range(300):
            without.param_groups[0]["lr"] = ETA / (p**2 * (1 - LAMBDA * ETA))
            for weight, optimizer in ((decayed, with_decay), (plain, without)):
                optimizer.zero_grad()
                self.loss(weight, x).backward()
                optimizer.step()
            p = (1 - LAMBDA * ETA) * p
            assert relative_error(self.direction(plain), self.direction(decayed)) < 1e-12
            assert relative_error(p * plain, decayed) < 1e-12  # eq. 16
        assert p < 0.4

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

    def test_it_is_the_gradient_step_of_a_cubic_penalty(self) -> None:
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

    def test_equation_22_from_any_start_it_finds_the_same_length(self) -> None:
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

    def test_equations_12_to_14_it_is_decay_and_another_rate(self) -> None:
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
        weights_after(net, x, optimizer, 20)
        means = [abs(oracle.mean(f)) for f in filters(net[0], net[0].weight)]
        squares = [length**2 for length in oracle.lengths(net[0], net[0].weight)]
        if centred_alone:
            assert max(means) > 1e-3
        else:
            assert max(means) < 1e-15
            assert squares == pytest.approx([2.0] * len(squares), rel=1e-12)


class TestL2Paper:
    """Section 4: with weight decay the filter norm settles where growth and decay balance.

    The paper's penalty is lambda ||w||^2 (Section 2), whose gradient is 2 lambda w; its update in Section 4 shrinks by
    (1 - eta lambda), which is the gradient of (lambda / 2) ||w||^2. The second is torch's `weight_decay`, and with it
    the printed fourth root holds as it stands: eta^2 gamma^2 sigma^2 / (4 eta lambda - 2 eta^2 lambda^2).
    """

    SIGMA, GAMMA = 1.5, 0.8

    def settled_length(self, decay: float, optimizer_of=SGD) -> float:
        """The model of Section 4: random gradients of the right size, orthogonal to w, half of them closed by ReLU."""
        generator = torch.Generator().manual_seed(0)
        w = nn.Parameter(torch.randn(64, generator=generator, dtype=torch.float64))
        optimizer = optimizer_of([w], lr=ETA, weight_decay=decay)
        squares = []
        for step in range(6000):
            g = torch.randn(64, generator=generator, dtype=torch.float64)
            g -= (g @ w.detach()) * w.detach() / (w.detach() @ w.detach())
            is_open = float(torch.rand((), generator=generator) < 0.5)
            # E[grad^2] = sigma^2 gamma^2 g'(z)^2 / ||w||^2
            w.grad = is_open * self.SIGMA * self.GAMMA * g / g.norm() / w.detach().norm()
            optimizer.step()
            if step >= 3000:
                squares.append(float(w.detach().norm() ** 2))
        # Even on average: (1 - (1 - eta lambda)^2) E[||w||^2] = eta^2 E[grad^2], which goes with E[1 / ||w||^2].
        return (sum(squares) / sum(1 / s for s in squares)) ** 0.25

    def predicted_length(self, decay: float) -> float:
        return (ETA**2 * self.GAMMA**2 * self.SIGMA**2 / (4 * ETA * decay - 2 * ETA**2 * decay**2)) ** 0.25

    def test_the_length_settles_at_the_fourth_root(self) -> None:
        assert self.settled_length(0.1) == pytest.approx(self.predicted_length(0.1), rel=1e-2)

    def test_the_printed_lambda_is_torchs_weight_decay_not_twice_it(self) -> None:
        """With the other one, filter norms would be wrong by a factor 2^(1/4) = 1.19."""
        assert self.settled_length(0.2) == pytest.approx(self.predicted_length(0.2), rel=1e-2)
        assert abs(self.settled_length(0.2) / self.predicted_length(0.1) - 1) > 0.1

    def test_equation_of_section_3_a_scale_is_a_learning_rate(self) -> None:
        """One step from alpha w' at rate eta is one step from w' at eta / alpha^2, read in the direction."""
        net, x = layer_and_norm("conv2d")
        scaled = copy.deepcopy(net)
        alpha = 3.0
        with torch.no_grad():
            scaled[0].weight.mul_(alpha)
        small = weights_after(net, x, SGD([net[0].weight], lr=ETA / alpha**2), 4)
        large = weights_after(scaled, x, SGD([scaled[0].weight], lr=ETA), 4)
        assert relative_error(large / alpha, small) < 1e-12


def center_gradient(layer: nn.Module) -> None:
    layer.weight.grad.copy_(oracle.pgd_gradient(layer, layer.weight.grad))


def vouched(layer: nn.Module) -> Verdicts:
    """For a loss that uses the weight without its layer: there is no forward to watch."""
    return find_scale_invariant(layer)
