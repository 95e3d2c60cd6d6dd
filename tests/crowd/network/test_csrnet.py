"""CSRNet's plan, sizes, output and tiles."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from normreg_plugins.crowd.network import CSRNet
from normreg_plugins.layers.normalized import normalized_class
from normreg_plugins.layers.scale_bias import ScaleBias

# (input channels, output channels, dilation) of the paper's configuration B
PLAN = [
    *[(3, 64, 1), (64, 64, 1), (64, 128, 1), (128, 128, 1)],
    *[(128, 256, 1), (256, 256, 1), (256, 256, 1), (256, 512, 1), (512, 512, 1), (512, 512, 1)],
    *[(512, 512, 2), (512, 512, 2), (512, 512, 2), (512, 256, 2), (256, 128, 2), (128, 64, 2)],
]


def thin(width_in, width, **settings):
    """A convolution with as few products as can be, for tests of size and place."""
    return nn.Conv2d(width_in, width, groups=math.gcd(width_in, width), **settings)


@pytest.fixture(scope="module")
def trained():
    """A net whose norms know their inputs, so that every pixel matters, and with an output that shows it."""
    torch.manual_seed(0)
    model = CSRNet(conv=thin).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches, not one that lags behind
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(2, 3, 64, 64))
        model.output.weight.mul_(20)
    return model.eval()


def convolutions(model):
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


def test_plan_is_configuration_b():
    model = CSRNet()
    *body, output = convolutions(model)
    assert [(c.in_channels, c.out_channels, c.dilation[0]) for c in body] == PLAN
    assert all(c.kernel_size == (3, 3) and c.padding == c.dilation for c in body)
    assert (output.kernel_size, output.out_channels) == ((1, 1), 1)
    assert output.bias is not None
    assert sum(isinstance(m, nn.MaxPool2d) for m in model.modules()) == 3
    leaves = [m for m in model.modules() if not list(m.children())]
    for conv in body:
        at = leaves.index(conv)
        assert isinstance(leaves[at + 1], nn.BatchNorm2d)
        assert leaves[at + 1].num_features == conv.out_channels
        assert isinstance(leaves[at + 2], nn.ReLU)
        assert conv.bias is None


def test_width_scales_every_convolution_but_the_ends():
    *body, output = convolutions(CSRNet(width=0.25))
    expected = [
        (width_in if width_in == 3 else width_in // 4, width // 4, dilation) for width_in, width, dilation in PLAN
    ]
    assert [(c.in_channels, c.out_channels, c.dilation[0]) for c in body] == expected
    assert (output.in_channels, output.out_channels) == (16, 1)
    with pytest.raises(ValueError, match="width must be above 0, got 0"):
        CSRNet(width=0)


def test_any_norm_and_any_convolution():
    model = CSRNet(norm=partial(ScaleBias, sigma=0.1), conv=normalized_class(nn.Conv2d, "ws"))
    assert sum(isinstance(m, ScaleBias) for m in model.modules()) == 16
    ws = [getattr(c, "normalizes_weight", None) == "std" for c in convolutions(model)]
    assert ws == [True] * 16 + [False]
    assert model(torch.randn(1, 3, 16, 16)).isfinite().all()
    CSRNet(norm=partial(nn.GroupNorm, 32))(torch.randn(1, 3, 16, 16))
    original = CSRNet(norm=None, output="free")
    assert not any(isinstance(m, nn.BatchNorm2d) for m in original.modules())
    assert all(c.bias is not None for c in convolutions(original))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 19), (64, 65)])
def test_any_input_size(trained, size):
    density = trained(torch.randn(2, 3, *size))
    assert density.shape == (2, 1, -(-size[0] // 8), -(-size[1] // 8))


def test_padding_is_the_mean_colour_to_whole_cells(trained):
    image = torch.randn(1, 3, 21, 30)
    padded = torch.zeros(1, 3, 24, 32)
    padded[:, :, :21, :30] = image
    torch.testing.assert_close(trained(image), trained(padded))


def test_output_activations(trained):
    image = torch.randn(1, 3, 64, 64)
    outputs = {}
    for name in ("free", "abs", "relu"):  # all with one bias, so that half of the free map is < 0
        model = CSRNet(conv=thin, output=name).eval()
        model.load_state_dict(trained.state_dict())
        with torch.no_grad():
            features = model.back(model.front(image))
            model.output.bias -= model.output(features).mean()
        outputs[name] = model(image)
    assert outputs["free"].min() < 0 < outputs["free"].max()
    torch.testing.assert_close(outputs["abs"], outputs["free"].abs())
    torch.testing.assert_close(outputs["relu"], outputs["free"].clamp_min(0))
    with pytest.raises(ValueError, match="softplus"):
        CSRNet(output="softplus")
