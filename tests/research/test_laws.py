"""Table 1 of the L2 paper, measured with torch's optimizers."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from normreg_plugins.core.errors import NormRegError
from research.tables.l2.laws import LAWS, measure_best_rates

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


def norm_of_sgd(eta: float, decay: float, momentum: float = 0.0) -> float:
    """Section 4: the fourth root of eta^2 g^2 / (2 eta lambda - eta^2 lambda^2), with 1 / (1 - rho) by Section 5.1."""
    shrinking = decay * (1 - momentum) * (2 - eta * decay / (1 + momentum))
    return (eta * GRADIENT**2 / shrinking) ** (1 / 4)


@pytest.mark.parametrize(
    ("optimizer", "eta", "decay", "expected"),
    [
        ("sgd", 0.1, 0.05, norm_of_sgd(0.1, 0.05)),
        ("momentum", 0.1, 0.05, norm_of_sgd(0.1, 0.05, 0.9)),
        ("nesterov", 0.05, 0.02, norm_of_sgd(0.05, 0.02, 0.9)),
        # The update is eta sqrt(n) long, and decay is divided by the RMS of a gradient entry, g / (sqrt(n) ||w||).
        ("rmsprop", 0.01, 0.05, (0.01 * GRADIENT * math.sqrt(ENTRIES) / (2 * 0.05)) ** (1 / 3)),
        ("adam", 0.01, 0.05, (0.01 * GRADIENT * math.sqrt(ENTRIES) / (2 * 0.05)) ** (1 / 3)),
        ("adamw", 0.02, 0.2, math.sqrt(0.02 * ENTRIES / (2 * 0.2))),
    ],
)
def test_the_norm_at_equilibrium(optimizer: str, eta: float, decay: float, expected: float) -> None:
    assert settled_norm(optimizer, eta, decay) == pytest.approx(expected, rel=0.03)


def test_lambda_is_torchs_weight_decay_not_half_of_it() -> None:
    """With the gradient of lambda ||w||^2 the filter would shrink by 1 - 2 eta lambda: a norm 2^(1/4) = 1.19 off."""
    assert abs(settled_norm("sgd", 0.1, 0.05) / norm_of_sgd(0.1, 2 * 0.05) - 1) > 0.15


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_exponents_of_the_effective_rate_at_equilibrium(optimizer: str) -> None:
    """eta^a lambda^b. The paper prints sqrt(eta / lambda) for SGD; what its own norms give is sqrt(eta lambda)."""
    row = LAWS[optimizer]
    eta, decay = {"rmsprop": (0.01, 0.05), "adam": (0.01, 0.05), "adamw": (0.02, 0.2)}.get(optimizer, (0.05, 0.02))

    def rate(eta: float, decay: float) -> float:
        return eta / settled_norm(optimizer, eta, decay) ** row.norm_power

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
    for net, rate in ((small, eta / alpha ** LAWS[optimizer].norm_power), (large, eta)):
        step = OPTIMIZERS[optimizer](net.parameters(), lr=rate)
        for _ in range(5):
            step.zero_grad()
            net.loss(net.weight).backward()
            step.step()
    torch.testing.assert_close(large.weight / alpha, small.weight, rtol=1e-10, atol=0)


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


def test_a_best_rate_at_the_end_of_the_grid_is_refused() -> None:
    with pytest.raises(NormRegError, match="end of the grid"):
        measure_best_rates({(r, d): [r] for r in (1.0, 2.0, 3.0) for d in (1.0, 2.0)})
