"""Mean-only batch norm against its equation, channel by channel, and against torch's batch norm."""

import pytest
import torch
from torch import nn

from normreg_plugins import find_scale_invariant, prove_scale_invariant
from normreg_plugins.layers import MeanOnlyBatchNorm


def by_equation(x: torch.Tensor, beta: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
    """Salimans & Kingma 2016, section 3: one channel after the other, in plain numbers."""
    out, means = torch.empty_like(x), []
    for channel in range(x.shape[1]):
        values = [float(v) for v in x[:, channel].flatten()]
        means.append(sum(values) / len(values))
        out[:, channel] = x[:, channel] - means[-1] + float(beta[channel])
    return out, means


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (3, 4, 5, 2), (2, 4, 3, 2, 2)])
def test_it_is_the_equation_in_training_and_the_running_mean_in_evaluation(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = MeanOnlyBatchNorm(4, momentum=0.3, dtype=torch.float64)
    nn.init.normal_(layer.bias)
    layer.bias.requires_grad_(False)
    running = [0.0] * 4
    for _ in range(3):
        x = torch.randn(shape, dtype=torch.float64) + 5
        expected, means = by_equation(x, layer.bias)
        torch.testing.assert_close(layer(x), expected)
        running = [0.7 * old + 0.3 * new for old, new in zip(running, means, strict=True)]
    torch.testing.assert_close(layer.running_mean, torch.tensor(running, dtype=torch.float64))
    kept = layer.running_mean.clone()
    channels = (1, 4, *(1,) * (len(shape) - 2))
    told = layer.eval()(x)
    torch.testing.assert_close(told, x - kept.view(channels) + layer.bias.view(channels))
    assert torch.equal(layer.running_mean, kept)


def test_half_precision_sums_in_float32() -> None:
    layer = MeanOnlyBatchNorm(1)
    x = torch.full((3000, 1, 8, 8), 0.1, dtype=torch.bfloat16)
    y = layer(x)
    assert y.dtype == torch.bfloat16
    assert y.abs().max() < 1e-3
    torch.testing.assert_close(layer.running_mean, 0.1 * x.float().mean((0, 2, 3)))


def test_the_scale_in_front_of_it_is_seen() -> None:
    """So no method takes such a weight by itself."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), MeanOnlyBatchNorm(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))

    def forward(net: nn.Module) -> torch.Tensor:
        return net(torch.ones(2, 3, 6, 6) + torch.arange(6.0))

    for verdicts in (find_scale_invariant(model), find_scale_invariant(model, forward)):
        assert [str(verdict.kind) for verdict in verdicts] == ["free", "invariant"]
    assert prove_scale_invariant(model, forward)[0].kind != "invariant"


def test_without_a_bias_and_with_bad_input() -> None:
    layer = MeanOnlyBatchNorm(2, bias=False)
    assert not list(layer.parameters())
    assert [*layer.state_dict()] == ["running_mean"]
    assert layer(torch.randn(4, 2)).mean(0).abs().max() < 1e-6
    with pytest.raises(ValueError, match=r"expected input \(N, 2, ...\), got \(4, 3\)"):
        layer(torch.randn(4, 3))
    with pytest.raises(ValueError, match=r"momentum=2"):
        MeanOnlyBatchNorm(2, momentum=2)
