"""Conversion keeps the evaluated function, for every kind of layer and on whole nets."""

import copy

import pytest
import torch
from helpers.layer_cases import LAYERS, batch_norm_for, fill_norms_, filters, make_input, make_layer
from helpers.vision import DenseNet, FrozenBatchNorm2d, resnet10, shufflenet_v2_x0_5
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD

from normreg_plugins.core import AdaptiveWeightShrink, SphereDescent, attach
from normreg_plugins.core.errors import SelectionError
from normreg_plugins.layers import (
    NORMALIZATIONS,
    AlreadyConvertedError,
    ConversionError,
    NormalizedWeight,
    ScaleBias,
    convert,
    fold,
    relative_change,
)

EXACT = [("wn", {}), ("bwn", {}), ("wn", {"gain": True}), ("bwn", {"gain": True}), ("pgd", {})]
CENTRED = [("cwn", {}), ("ws", {}), ("ws", {"gain": True}), ("pgd", {"centre": True})]
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def see_images(model: nn.Module) -> torch.Tensor:
    return model(IMAGES.to(next(model.parameters()).dtype))


def centre_filters_(model: nn.Module, names: list[str]) -> nn.Module:
    with torch.no_grad():
        for name in names:
            layer = model.get_submodule(name)
            for w in filters(layer, layer.weight):
                w -= w.mean()
    return model


def converted_names(model: nn.Module) -> list[str]:
    return [name for name, m in model.named_modules() if isinstance(m, NormalizedWeight)]


@settings(max_examples=30)
@given(
    kind=st.sampled_from(list(LAYERS)),
    case=st.sampled_from(EXACT),
    bias=st.booleans(),
    dead=st.booleans(),
    smallest_variance=st.sampled_from([0.5, 1e-2, 1e-6]),
    seed=st.integers(0, 2**16),
)
def test_every_kind_of_layer_keeps_its_function_there_and_back(
    kind: str, case: tuple, bias: bool, dead: bool, smallest_variance: float, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = make_layer(kind, bias=bias)
    if dead:
        filters(layer, layer.weight.data)[1].zero_()
    net = nn.Sequential(layer, batch_norm_for(layer), nn.ReLU()).double()
    fill_norms_(net, smallest_variance)
    x = make_input(layer, dtype=torch.float64)
    to, options = case
    result = convert(net, to, lambda model: model(x), **options)
    assert relative_change(net, result, lambda model: model(x)) < 1e-9
    plain = fold(result, lambda model: model(x))
    assert relative_change(net, plain, lambda model: model(x)) < 1e-9
    assert [type(m) for m in plain] == [type(layer), nn.Identity, nn.ReLU]


@pytest.mark.parametrize(("to", "options"), EXACT)
def test_resnet_keeps_its_function(to: str, options: dict) -> None:
    net = fill_norms_(resnet10())
    result = convert(net, to, see_images, **options)
    assert relative_change(net, result, see_images) < 1e-5
    if to == "pgd":
        assert not any(isinstance(m, nn.BatchNorm2d) for m in result.modules())
        assert sum(isinstance(m, ScaleBias) for m in result.modules()) == 12
    else:
        assert len(converted_names(result)) == 12  # all but the classifier


@pytest.mark.parametrize(("to", "options"), CENTRED)
def test_centring_is_all_that_a_centred_conversion_changes(to: str, options: dict) -> None:
    """Its function is that of the original net with each filter's mean taken off, and no other."""
    net = fill_norms_(resnet10())
    result = convert(net, to, see_images, **options)
    names = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    centred = centre_filters_(copy.deepcopy(net), names)
    assert relative_change(centred, result, see_images) < 1e-5
    assert relative_change(net, result, see_images) > 1e-2


@pytest.mark.parametrize("to", ["wn", "bwn"])
def test_training_goes_on_where_it_was(to: str) -> None:
    """In training mode it is the same function of the same stored weights: so are the gradients."""
    net = fill_norms_(resnet10()).double()
    result, x = convert(net, to, see_images), torch.randn(4, 3, 48, 48).double()
    outputs = []
    for model in (net, result):
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.eps = 1e-12
        outputs.append(model.train()(x))
        outputs[-1].square().mean().backward()
    torch.testing.assert_close(*outputs, rtol=1e-6, atol=1e-6)
    for (name, p), q in zip(net.named_parameters(), result.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("centre", [False, True])
def test_filters_lie_on_the_sphere(centre: bool) -> None:
    result = convert(fill_norms_(resnet10()), "pgd", see_images, c=3.0, centre=centre)
    for name, layer in result.named_modules():
        if isinstance(layer, nn.Conv2d):
            rows = layer.weight.flatten(1)
            torch.testing.assert_close(rows.square().sum(1), torch.full((len(rows),), 3.0))
            assert (rows.mean(1).abs().max() < 1e-7) == centre, name


def test_stored_weights_stay_and_so_does_the_original() -> None:
    net = fill_norms_(resnet10())
    before = copy.deepcopy(net.state_dict())
    result = convert(net, "ws", see_images)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    assert type(net.conv1) is nn.Conv2d
    assert set(result.state_dict()) == set(before)
    assert torch.equal(result.conv1.weight, net.conv1.weight)


@pytest.mark.parametrize(("to", "options"), EXACT)
@pytest.mark.parametrize(
    "make",
    [lambda: DenseNet(4, (2, 2), 8, num_classes=5), lambda: shufflenet_v2_x0_5(num_classes=5)],
    ids=["concatenations", "channel shuffles"],
)
def test_norms_that_read_several_layers(make, to: str, options: dict) -> None:
    net = fill_norms_(make())
    assert relative_change(net, convert(net, to, see_images, **options), see_images) < 1e-5


@pytest.mark.parametrize("norm_class", [FrozenBatchNorm2d, nn.SyncBatchNorm, nn.BatchNorm2d])
def test_other_batch_norms(norm_class: type[nn.Module]) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm_class(4)).eval()
    fill_norms_(net)
    net[1].weight.requires_grad_(False)
    for to, options in EXACT:
        assert relative_change(net, convert(net, to, see_images, **options), see_images) < 1e-5
    result = convert(net, "pgd", see_images)
    assert not result[1].weight.requires_grad
    assert result[1].bias.requires_grad == net[1].bias.requires_grad
    assert not result[1].training


def test_a_norm_that_no_layer_feeds_is_replaced_too() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    result = convert(fill_norms_(net), "pgd", see_images)
    assert [type(m) for m in result] == [ScaleBias, nn.Conv2d, ScaleBias, nn.Conv2d]
    assert torch.equal(result[3].weight, net[3].weight)
    assert relative_change(net, result, see_images) < 1e-5


def test_group_norms_need_a_gain() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4))
    with pytest.raises(ConversionError, match="filters and biases of a group must be scaled alike"):
        convert(net, "wn", see_images)
    assert relative_change(net, convert(net, "wn", see_images, gain=True), see_images) < 1e-6
    with pytest.raises(ConversionError, match="GroupNorm computes its statistics from"):
        convert(net, "pgd", see_images)


class Odd(nn.Module):
    """A layer read by a norm and by a sum, a norm that serves two layers, a layer never called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.read_twice, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.left, self.right, self.shared_bn = (
            *nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2)),
            nn.BatchNorm2d(4),
        )
        self.unused = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.read_twice(self.stem_bn(self.stem(x)))
        y = y + self.bn(y)
        return self.shared_bn(self.left(y)) + self.shared_bn(self.right(y))


@pytest.mark.parametrize("to", ["wn", "pgd"])
def test_what_cannot_be_treated_is_named_and_can_be_kept(to: str) -> None:
    net = fill_norms_(Odd())
    with pytest.raises(ConversionError, match="is not possible for 4 of the layers") as error:
        convert(net, to, see_images)
    assert set(error.value.layers) == {"read_twice", "left", "right", "unused"}
    assert "never called" in error.value.layers["unused"]
    assert type(net.stem) is nn.Conv2d
    result = convert(net, to, see_images, keep=["read_twice", "left", "right", "un*"])
    assert relative_change(net, result, see_images) < 1e-5
    if to == "wn":
        assert converted_names(result) == ["stem"]
    kept = convert(net, to, see_images, keep=["read_twice", "shared_bn", "unused"])
    assert type(kept.shared_bn) is nn.BatchNorm2d
    assert relative_change(net, kept, see_images) < 1e-5


def test_more_that_cannot_be_treated() -> None:
    depthwise = nn.Sequential(nn.Conv2d(3, 3, 1, groups=3), nn.BatchNorm2d(3))
    for to, options in CENTRED:
        with pytest.raises(ConversionError, match="one weight each"):
            convert(depthwise, to, see_images, **options)
    no_statistics = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(ConversionError, match="no running statistics"):
        convert(no_statistics, "pgd", see_images)
    convert(no_statistics, "ws", see_images)
    parametrized = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.nn.utils.parametrizations.spectral_norm(parametrized[0])
    with pytest.raises(ConversionError, match="ParametrizedConv2d"):
        convert(parametrized, "wn", see_images)
    with pytest.raises(ConversionError, match="parametrized"):
        convert(parametrized, "pgd", see_images)


@pytest.mark.parametrize("to", [*NORMALIZATIONS, "pgd"])
def test_converting_twice_is_detected(to: str) -> None:
    net = convert(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), to, see_images)
    for again in [*NORMALIZATIONS, "pgd"]:
        with pytest.raises(AlreadyConvertedError, match="converted already"):
            convert(net, again, see_images)


def test_bad_arguments_are_named() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="cannot convert to 'bn'"):
        convert(net, "bn", see_images)
    for c in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="a squared norm must be"):
            convert(net, "pgd", see_images, c=c)
    with pytest.raises(SelectionError, match="keep='head"):
        convert(net, "wn", see_images, keep=["head.*"])
    with pytest.raises(TypeError, match="gain"):
        convert(net, "pgd", see_images, gain=True)
    with pytest.raises(SelectionError, match="no layer that a norm layer follows"):
        convert(nn.Sequential(nn.Conv2d(3, 4, 3)), "wn", see_images)


def test_methods_find_their_layers_in_a_converted_net() -> None:
    net = fill_norms_(resnet10())
    sphere = convert(net, "pgd", see_images, centre=True)
    before = copy.deepcopy(sphere)
    with attach(SGD(sphere.parameters(), lr=0.1), sphere, SphereDescent()) as handle:
        assert len(handle.targets) == 12
        assert relative_change(before, sphere, see_images) < 1e-5  # it starts where PGD starts
    standardized = convert(net, "ws", see_images)
    optimizer = SGD(standardized.parameters(), lr=0.1)
    with attach(optimizer, standardized, AdaptiveWeightShrink(1e-3)) as handle:
        assert set(handle.targets) == {f"{n}.weight" for n in converted_names(standardized)}
