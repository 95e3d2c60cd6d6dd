"""Scale-bias layers: the affine map, the noise, and where the noise comes from."""

import copy
from typing import Any

import pytest
import torch
from helpers.processes import on_ranks
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.layers import ScaleBias, assign_linear_sigma, zero_scales_


def scale_bias(channels: int = 4, **kwargs) -> ScaleBias:
    layer = ScaleBias(channels, **kwargs)
    nn.init.normal_(layer.weight, 1.0, 0.3)
    nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (3, 4, 5, 6), (3, 4, 5, 6, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_without_noise_it_is_the_affine_map(shape: tuple[int, ...], training: bool) -> None:
    layer = scale_bias().train(training)
    x = torch.randn(shape)
    expected = torch.stack(
        [layer.weight[c] * x[:, c] + layer.bias[c] for c in range(4)], dim=1
    )  # constrained paper, eq. 6
    torch.testing.assert_close(layer(x), expected)


def test_noise_is_for_training_only() -> None:
    layer, x = scale_bias(sigma=0.5), torch.randn(3, 4, 5, 5)
    noisy = layer(x)
    plain = layer.eval()(x)
    assert not torch.allclose(noisy, plain)
    layer.sigma = 0.0
    torch.testing.assert_close(layer.train()(x), plain, rtol=0, atol=0)


def test_each_channel_of_each_sample_has_its_own_noise() -> None:
    torch.manual_seed(1)
    layer = scale_bias(32, sigma=0.4)
    x = torch.rand(64, 32, 6, 7) + 1
    gamma, beta = layer.weight.view(1, -1, 1, 1), layer.bias.view(1, -1, 1, 1)
    noise = ((layer(x) - beta) / (gamma * x) - 1).detach()  # constrained paper, eq. 7
    draws = noise[:, :, :1, :1]
    torch.testing.assert_close(noise, draws.expand_as(noise), rtol=1e-3, atol=1e-4)
    assert len(draws.round(decimals=4).unique()) > 0.9 * draws.numel()
    error = 4 * 0.4 / draws.numel() ** 0.5
    assert abs(draws.mean()) < error
    assert abs(draws.std() - 0.4) < error
    assert abs((draws.abs() > 0.8).float().mean() - 0.0455) < 0.02  # a Gaussian's tails


SEED, CHANNELS = 3, 64


def noise() -> Tensor:
    """The noise that a layer draws for 32 samples of 5 x 5, from the seed that all processes share."""
    torch.manual_seed(SEED)
    layer = ScaleBias(CHANNELS, sigma=1.0)
    return (layer(torch.ones(32, CHANNELS, 5, 5)) - 1).detach()


def noisy_net() -> nn.Module:
    torch.manual_seed(SEED)
    return nn.Sequential(nn.Conv2d(3, 4, 3), ScaleBias(4, sigma=0.4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten())


def trained() -> dict[str, Tensor]:
    """Three updates under DDP, every process on the same images."""
    model = DistributedDataParallel(noisy_net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 3, 8, 8)).square().mean().backward()
        optimizer.step()
    return model.module.state_dict()


def one_of_two(_rank: int) -> dict[str, Any]:
    found = {"noise": noise(), "again": noise(), "generator": torch.get_rng_state(), "weights": trained()}
    test_activation_checkpointing_redraws_the_same_noise(use_reentrant=False)
    return found


def test_processes_with_one_seed_draw_noise_of_their_own() -> None:
    """Noise that differs and does not correlate, also under checkpointing; generators and DDP's weights stay alike."""
    found = on_ranks(one_of_two)
    one, other = (each["noise"] for each in found)
    error = 4 / (32 * 64) ** 0.5
    assert (one != other).float().mean() > 0.999
    assert (one * other).mean().abs() < error
    for each in found:
        assert abs(each["noise"].mean()) < error
        assert abs(each["noise"].std() - 1) < error
        assert torch.equal(each["noise"], each["again"])
    assert torch.equal(found[0]["generator"], found[1]["generator"])
    initial = noisy_net().state_dict()
    for name, weight in found[0]["weights"].items():
        assert torch.equal(weight, found[1]["weights"][name])
        assert not torch.equal(weight, initial[name])


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpointing_redraws_the_same_noise(use_reentrant: bool) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), scale_bias(sigma=0.4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    x = torch.randn(2, 3, 8, 8, requires_grad=True)

    def run(forward) -> list[torch.Tensor]:
        torch.manual_seed(3)
        net.zero_grad()
        output = forward(x)
        output.square().sum().backward()
        return [output, *(p.grad.clone() for p in net.parameters())]

    plain = run(net)
    checkpointed = run(lambda x: checkpoint(net, x, use_reentrant=use_reentrant))
    for expected, result in zip(plain, checkpointed, strict=True):
        assert torch.equal(result, expected)


def test_gradients() -> None:
    layer = scale_bias(sigma=0.4).double()
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)

    def seeded(x, *_):
        torch.manual_seed(0)
        return layer(x)

    assert torch.autograd.gradcheck(seeded, (x, layer.weight, layer.bias))


def test_dtypes_and_memory_format() -> None:
    layer = scale_bias(sigma=0.4)
    for dtype in (torch.bfloat16, torch.float16):  # what autocast hands to a norm
        assert layer(torch.randn(2, 4, 3, 3).to(dtype)).dtype == dtype
    assert layer.double()(torch.randn(2, 4, 3, 3).double()).dtype == torch.float64
    x = torch.randn(2, 4, 3, 5).double().to(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)
    half = scale_bias(sigma=0.4).bfloat16()
    assert half(torch.randn(2, 4, 3, 3).bfloat16()).dtype == torch.bfloat16


def test_affine_of_a_batch_norm_loads_and_its_statistics_are_not_lost_silently() -> None:
    norm, layer = nn.BatchNorm2d(4), ScaleBias(4)
    nn.init.normal_(norm.weight)
    result = layer.load_state_dict(norm.state_dict(), strict=False)
    torch.testing.assert_close(layer.weight, norm.weight)
    assert result.unexpected_keys == ["running_mean", "running_var", "num_batches_tracked"]
    with pytest.raises(RuntimeError, match="running_mean"):
        layer.load_state_dict(norm.state_dict())
    assert norm.load_state_dict(layer.state_dict(), strict=False).unexpected_keys == []


def test_linear_noise_numbers_the_layers() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 1), ScaleBias(4)) for _ in range(4)))
    assert assign_linear_sigma(net, 0.8) == pytest.approx(
        {"0.1": 0.2, "1.1": 0.4, "2.1": 0.6, "3.1": 0.8}
    )  # constrained paper, eq. 8
    assert net[3][1].sigma == 0.8
    assert copy.deepcopy(net)[1][1].sigma == pytest.approx(0.4)


def test_bad_input_is_named() -> None:
    for sigma in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="sigma"):
            ScaleBias(4, sigma=sigma)
        with pytest.raises(ValueError, match="sigma"):
            assign_linear_sigma(nn.Sequential(ScaleBias(4)), sigma)
    with pytest.raises(ValueError, match=r"\(N, 4, \.\.\.\), got \(2, 3, 5\)"):
        ScaleBias(4)(torch.randn(2, 3, 5))
    with pytest.raises(SelectionError, match="no ScaleBias"):
        assign_linear_sigma(nn.Conv2d(3, 3, 3), 0.5)


def test_named_scales_become_zero_and_a_name_that_none_has_is_refused() -> None:
    model = nn.ModuleDict({name: ScaleBias(3) for name in ("stem", "branch_a", "branch_b")})
    assert zero_scales_(model, ["branch_*"]) == ["branch_a", "branch_b"]
    assert [layer.weight.sum().item() for layer in model.values()] == [3, 0, 0]
    with pytest.raises(SelectionError, match="'branches' matches none of the ScaleBias layers stem, branch_a"):
        zero_scales_(model, ["stem", "branches"])
    assert model["stem"].weight.all()
