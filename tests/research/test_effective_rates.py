"""Table 1 of the L2 paper, measured with torch's optimizers."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian
from torch.optim import SGD, Adam, AdamW, RMSprop

from normreg_plugins import WeightRescaling, attach, find_scale_invariant
from normreg_plugins.core.errors import NormRegError
from research.filters.effective_rates import (
    LAWS,
    best_rate,
    effective_rate,
    equilibrium_norm_adamw,
    equilibrium_norm_adaptive,
    equilibrium_norm_sgd,
)
from research.filters.rate_study import measure_best_rates

ENTRIES, GRADIENT = 64, 1.2
OPTIMIZERS = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "rmsprop": partial(RMSprop, eps=1e-30),
    "adam": partial(Adam, betas=(0.9, 0.99), eps=1e-30),
    "adamw": partial(AdamW, betas=(0.9, 0.99), eps=1e-30),
}


def settled_norm(optimizer: str, eta: float, decay: float, updates: int = 4000) -> float:
    """The model of Section 4: gradients of random direction, orthogonal to w, with the norm GRADIENT / ||w||."""
    generator = torch.Generator().manual_seed(0)
    w = nn.Parameter(torch.randn(ENTRIES, generator=generator, dtype=torch.float64) / math.sqrt(ENTRIES))
    step = OPTIMIZERS[optimizer]([w], lr=eta, weight_decay=decay)
    norms = []
    for _ in range(updates):
        u = w.detach() / w.detach().norm()
        g = torch.randn(ENTRIES, generator=generator, dtype=torch.float64)
        g -= (g @ u) * u
        w.grad = GRADIENT * g / g.norm() / w.detach().norm()
        step.step()
        norms.append(float(w.detach().norm()))
    settled = norms[updates // 2 :]
    return sum(settled) / len(settled)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_equilibrium_of_sgd_with_momentum(momentum: float) -> None:
    name = {0.0: "sgd", 0.9: "momentum"}.get(momentum, "half")
    OPTIMIZERS.setdefault("half", partial(SGD, momentum=0.5))
    found = settled_norm(name, eta=0.1, decay=0.05)
    assert found == pytest.approx(equilibrium_norm_sgd(0.1, 0.05, GRADIENT, momentum), rel=0.01)


def test_equilibrium_of_nesterov() -> None:
    assert settled_norm("nesterov", 0.05, 0.02) == pytest.approx(
        equilibrium_norm_sgd(0.05, 0.02, GRADIENT, 0.9), rel=0.02
    )


def test_lambda_is_torchs_weight_decay_not_half_of_it() -> None:
    """With the gradient of lambda ||w||^2 the filter would shrink by 1 - 2 eta lambda: a norm 2^(1/4) = 1.19 off."""
    found = settled_norm("sgd", 0.1, 0.05)
    assert abs(found / equilibrium_norm_sgd(0.1, 2 * 0.05, GRADIENT) - 1) > 0.15
    paper = (0.1**2 * 2 * GRADIENT**2 / (4 * 0.1 * 0.05 - 2 * 0.1**2 * 0.05**2)) ** 0.25  # gamma sigma = sqrt(2) g
    assert equilibrium_norm_sgd(0.1, 0.05, GRADIENT) == pytest.approx(paper, rel=1e-12)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_equilibrium_of_adaptive_optimizers(optimizer: str) -> None:
    found = settled_norm(optimizer, 0.01, 0.05)
    assert found == pytest.approx(equilibrium_norm_adaptive(0.01, 0.05, GRADIENT, ENTRIES), rel=0.03)


def test_equilibrium_of_adamw() -> None:
    assert settled_norm("adamw", 0.02, 0.2) == pytest.approx(equilibrium_norm_adamw(0.02, 0.2, ENTRIES), rel=0.03)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_exponents_of_the_effective_rate_at_equilibrium(optimizer: str) -> None:
    """eta^a lambda^b. The paper prints sqrt(eta / lambda) for SGD; what its own norms give is sqrt(eta lambda)."""
    row = LAWS[optimizer]
    eta, decay = {"rmsprop": (0.01, 0.05), "adam": (0.01, 0.05), "adamw": (0.02, 0.2)}.get(optimizer, (0.05, 0.02))

    def rate(eta: float, decay: float) -> float:
        return row.effective_rate(eta, settled_norm(optimizer, eta, decay))

    here = math.log(rate(eta, decay))
    found = [
        (math.log(rate(2 * eta, decay)) - here) / math.log(2),
        (math.log(rate(eta, 2 * decay)) - here) / math.log(2),
    ]
    assert found == pytest.approx(row.equilibrium_exponents(), abs=0.03)


class ScaleInvariant(nn.Module):
    """A linear layer that only its direction matters of, and a loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(5, dtype=torch.float64))
        self.x = torch.randn(40, 5, dtype=torch.float64)
        self.y = torch.randn(40, dtype=torch.float64)

    def loss(self, w: Tensor) -> Tensor:
        return (torch.tanh(self.normalized(self.x @ w)) - self.y).square().mean()

    @staticmethod
    def normalized(z: Tensor) -> Tensor:
        return (z - z.mean()) / z.var(unbiased=False).sqrt()


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "adamw"])
def test_a_scale_is_a_learning_rate(optimizer: str) -> None:
    """Table 1, first column: from alpha w at eta the directions are those from w at the effective rate's eta."""
    alpha, eta = 3.0, 0.1
    small, large = ScaleInvariant(), ScaleInvariant()
    large.weight.data.mul_(alpha)
    for net, rate in ((small, effective_rate(optimizer, eta, alpha)), (large, eta)):
        step = OPTIMIZERS[optimizer](net.parameters(), lr=rate)
        for _ in range(5):
            step.zero_grad()
            net.loss(net.weight).backward()
            step.step()
    torch.testing.assert_close(large.weight / alpha, small.weight, rtol=1e-10, atol=0)


def test_normalized_sgd_forgets_the_scale() -> None:
    """Table 1: the rate is eta whatever the norm was, from the first rescale on."""
    assert effective_rate("normalized sgd", 0.1, norm=7.0) == 0.1
    nets = []
    for alpha in (1.0, 5.0):
        layer = nn.Linear(3, 2, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(alpha * torch.tensor([[1.0, 2.0, 2.0], [0.0, 1.0, 0.0]]))
        optimizer = SGD(layer.parameters(), lr=0.1)
        method = WeightRescaling(interval=1, at_start=True)
        attach(optimizer, layer, method, select="weight", proof=find_scale_invariant(layer))
        layer(torch.ones(1, 3, dtype=torch.float64)).square().sum().backward()
        optimizer.step()
        nets.append(layer.weight.detach())
    torch.testing.assert_close(nets[0], nets[1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("alpha", [0.01, 0.5, 30.0])
def test_a_newton_step_is_scale_independent(alpha: float) -> None:
    """Section 5.4: gradients go with 1 / alpha and Hessians with 1 / alpha^2, so the step goes with alpha."""
    net = ScaleInvariant()
    w = net.weight.detach()

    def newton(at: Tensor, decay: float) -> Tensor:
        def loss(v: Tensor) -> Tensor:
            return net.loss(v) + decay / 2 * v @ v

        gradient = torch.autograd.functional.vjp(loss, at)[1]
        return torch.linalg.solve(hessian(loss, at), gradient)

    decay = 0.3  # of w; a filter alpha times as long has the same loss with decay / alpha^2
    torch.testing.assert_close(newton(alpha * w, decay / alpha**2), alpha * newton(w, decay), rtol=1e-8, atol=1e-12)
    assert effective_rate("newton", 0.1, norm=alpha) == 0.1


@pytest.mark.parametrize("alpha", [0.01, 0.5, 30.0])
def test_so_is_a_gauss_newton_step_with_the_papers_derivative(alpha: float) -> None:
    """Section 3 propagates no gradient through mean and standard deviation."""
    net = ScaleInvariant()

    def step(at: Tensor) -> Tensor:
        mean, std = (net.x @ at).mean(), (net.x @ at).var(unbiased=False).sqrt()

        def residual(v: Tensor) -> Tensor:
            return torch.tanh((net.x @ v - mean) / std) - net.y

        return torch.linalg.lstsq(jacobian(residual, at), residual(at)[:, None]).solution[:, 0]

    torch.testing.assert_close(step(alpha * net.weight.detach()), alpha * step(net.weight.detach()), rtol=1e-8, atol=0)


def test_the_full_newton_step_of_a_scale_invariant_loss_turns_no_filter() -> None:
    """The gradient is homogeneous of degree -1, so H w = -g (Euler), and the step is -eta w itself."""
    net = ScaleInvariant()
    w = net.weight.detach()
    gradient = torch.autograd.functional.vjp(net.loss, w)[1]
    torch.testing.assert_close(hessian(net.loss, w) @ w, -gradient, rtol=1e-8, atol=1e-12)


def tracking_losses(optimizer: str, rates: list[float], decays: list[float], updates: int = 1500, seeds: int = 60):
    """Follow a direction that wanders, by noisy gradients: too small a rate lags, too large a rate trembles.

    Every point of the grid has noise of its own. With the same noise, eta lambda alone would decide, and the exponent
    would come out exact by symmetry.
    """
    generator = torch.Generator().manual_seed(0)
    grid = [(rate, decay) for rate in rates for decay in decays]
    noise = partial(torch.randn, len(grid), seeds, 16, generator=generator, dtype=torch.float64)
    start = torch.nn.functional.normalize(noise(), dim=2)
    weights = [nn.Parameter(w.clone()) for w in start]
    groups = [{"params": [w], "lr": rate, "weight_decay": decay} for w, (rate, decay) in zip(weights, grid)]
    step = OPTIMIZERS[optimizer](groups, lr=1.0)
    target, total = start.clone(), torch.zeros(len(grid), seeds, dtype=torch.float64)
    for update in range(updates):
        target = torch.nn.functional.normalize(target + 0.03 * noise(), dim=2)
        w = torch.stack([weight.detach() for weight in weights])
        norms = w.norm(dim=2, keepdim=True)
        directions = w / norms
        g = -(target + 0.3 * noise())
        g = (g - (g * directions).sum(2, keepdim=True) * directions) / norms
        for weight, gradient in zip(weights, g):
            weight.grad = gradient
        step.step()
        if update >= updates // 2:
            total += 1 - (directions * target).sum(2)
    return {point: losses.tolist() for point, losses in zip(grid, total / (updates - updates // 2))}


@pytest.mark.parametrize(
    ("optimizer", "rates", "decays", "exponent"),
    [
        ("sgd", [0.005 * 2**i for i in range(9)], [0.025, 0.06, 0.13], -1.0),
        ("rmsprop", [0.0025 * 2 ** (i / 1.5) for i in range(11)], [0.02, 0.07, 0.3], -0.5),
    ],
)
def test_the_best_rate_goes_with_the_printed_power_of_weight_decay(optimizer, rates, decays, exponent) -> None:
    """Fig. 4 of the L2 paper: 1 / lambda for SGD and 1 / sqrt(lambda) for RMSProp."""
    assert LAWS[optimizer].best_rate_exponent() == pytest.approx(exponent)
    assert best_rate(optimizer, 0.1, 1e-4, 4e-4) == pytest.approx(0.1 * 4**exponent)
    found = measure_best_rates(tracking_losses(optimizer, rates, decays))
    assert found.exponent == pytest.approx(exponent, abs=0.1)
    assert 0 < found.error < 0.1
    assert abs(found.exponent - exponent) < 3 * found.error + 0.03


def test_best_rates_are_found_between_the_rates_of_the_grid() -> None:
    losses = {
        (rate, decay): [math.log(rate * decay / 0.003) ** 2 + seed for seed in (0.0, 0.1, 0.2)]
        for rate in (0.01, 0.03, 0.1, 0.3, 1.0)
        for decay in (0.01, 0.02, 0.1)
    }
    found = measure_best_rates(losses)
    assert found.rates == pytest.approx([0.3, 0.15, 0.03])
    assert found.exponent == pytest.approx(-1)
    assert found.error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({(1.0, 1.0): [1.0], (2.0, 1.0): [1.0]}, "2 rates and 1 decays"),
        ({(r, d): [r] for r in (1.0, 2.0, 3.0) for d in (1.0, 2.0)}, "end of the grid"),
        ({(r, d): [r] for r in (1.0, 2.0, 3.0) for d in (1.0, 2.0) if r * d < 6}, "no loss at rate 3 with decay 2"),
    ],
)
def test_a_grid_that_does_not_tell_is_refused(losses, message: str) -> None:
    with pytest.raises(NormRegError, match=message):
        measure_best_rates(losses)


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(NormRegError, match=r"'lion'.*sgd, momentum"):
        effective_rate("lion", 0.1, 1.0)


def test_the_table_is_the_papers() -> None:
    assert {name: (row.norm_power, row.norm_exponent) for name, row in LAWS.items()} == {
        "sgd": (2, 1 / 4),
        "momentum": (2, 1 / 4),
        "nesterov": (2, 1 / 4),
        "rmsprop": (1, 1 / 3),
        "adam": (1, 1 / 3),
        "adamw": (1, 1 / 2),
        "normalized sgd": (0, None),
        "newton": (0, None),
    }
