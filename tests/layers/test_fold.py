"""Folding keeps the evaluated function and leaves plain layers, or names the norms in the way."""

import copy

import pytest
import torch
from helpers.layer_cases import fill_norms_
from helpers.vision import DenseNet, resnet10
from torch import nn

from normreg_plugins.core.errors import SelectionError
from normreg_plugins.layers import (
    ConversionError,
    NormalizedWeight,
    ScaleBias,
    WSConv2d,
    assign_linear_sigma,
    convert,
    fold,
    relative_change,
)

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def see_images(model: nn.Module) -> torch.Tensor:
    return model(IMAGES)


@pytest.mark.parametrize("to", [None, "wn", "cwn", "ws", "bwn", "pgd"])
def test_whole_net_becomes_plain(to: str | None) -> None:
    net = fill_norms_(resnet10())
    if to:
        net = convert(net, to, see_images)
    if to == "pgd":
        assign_linear_sigma(net, 0.8)
    before = copy.deepcopy(net.state_dict())
    plain = fold(net, see_images)
    assert relative_change(net, plain, see_images) < 1e-5
    assert not plain.training
    assert {type(m) for m in plain.modules()}.isdisjoint({nn.BatchNorm2d, ScaleBias})
    assert not any(isinstance(m, NormalizedWeight) for m in plain.modules())
    assert set(plain.state_dict()) == {
        f"{name}.{key}"
        for name, m in resnet10().named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
        for key in ("weight", "bias")
    }
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


def test_half_precision_and_frozen_layers() -> None:
    net = fill_norms_(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).bfloat16()
    net[0].weight.requires_grad_(False)
    plain = fold(net, lambda model: model(IMAGES.bfloat16()))
    assert plain[0].bias.dtype == torch.bfloat16
    assert not plain[0].bias.requires_grad
    assert relative_change(net, plain, lambda model: model(IMAGES.bfloat16())) < 0.05


class ReadTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.other_bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.bn(y) + self.other_bn(y)


class ReadByTheCallerToo(ReadTwice):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.conv(x)
        return self.bn(y), y


class Beside(nn.Module):
    """A net with something to fold beside whatever cannot be."""

    def __init__(self, odd: nn.Module) -> None:
        super().__init__()
        self.odd, self.plainable = odd, nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> list:
        return [self.odd(x), self.plainable(x)]


@pytest.mark.parametrize(
    ("odd", "reasons"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.BatchNorm2d(4)),
            {"2": "not the bare output"},
        ),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(inplace=True), nn.BatchNorm2d(4)),
            {"2": "not the bare output"},
        ),
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), {"0": "not the bare output"}),
        (ReadTwice(), {"bn": "read by 2 norm layers", "other_bn": "read by 2 norm layers"}),
        (ReadByTheCallerToo(), {"bn": "has other readers", "other_bn": "never called"}),
        (
            nn.Sequential(WSConv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.BatchNorm2d(4)),
            {"1": "computes its statistics from", "2": "not the bare output"},
        ),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
            {"1": "no running statistics"},
        ),
        (nn.Sequential(ScaleBias(3), nn.Conv2d(3, 3, 1)), {"0": "not the bare output"}),
    ],
)
def test_norms_in_the_way_are_named_and_can_be_kept(odd: nn.Module, reasons: dict) -> None:
    net = fill_norms_(Beside(odd))
    with pytest.raises(ConversionError, match="folding is not possible for") as error:
        fold(net, see_images)
    found = {name.removeprefix("odd."): why for name, why in error.value.layers.items()}
    assert set(found) == set(reasons)
    for name, reason in reasons.items():
        assert reason in found[name]

    plain = fold(net, see_images, keep=[*error.value.layers])
    assert relative_change(net, plain, see_images) < 1e-5
    assert type(plain.plainable[1]) is nn.Identity
    for name in reasons:
        assert type(plain.odd.get_submodule(name)) is type(odd.get_submodule(name))


def test_concatenations_are_named() -> None:
    with pytest.raises(ConversionError, match=r"features\.denseblock1\.denselayer1\.norm1"):
        fold(DenseNet(4, (2, 2), 8, num_classes=5), see_images)


def test_a_kept_layer_keeps_its_norm() -> None:
    net = fill_norms_(nn.Sequential(WSConv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), WSConv2d(4, 2, 3)))
    plain = fold(net, see_images, keep=["0"])
    assert [type(m) for m in plain] == [WSConv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    assert relative_change(net, plain, see_images) < 1e-5


def test_nothing_to_fold_and_unknown_names() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(SelectionError, match="nothing to fold"):
        fold(net, see_images)
    with pytest.raises(SelectionError, match="keep='bn"):
        fold(net, see_images, keep=["bn*"])
