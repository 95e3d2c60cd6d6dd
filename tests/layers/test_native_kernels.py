"""The native kernels against the equation: values, gradients, filters that are used as they are, memory."""

import copy

import pytest
import torch
from helpers.layer_cases import make_layer
from torch import Tensor, nn

from normreg_plugins.layers import NORMALIZATIONS, WSConv2d
from normreg_plugins.layers.native_kernels import normalize_weight
from normreg_plugins.layers.normalization import normalize_by_equation
from normreg_plugins.layers.normalized import normalize_layer_

PER_FILTER = ["wn", "cwn", "ws"]
WITH_KERNELS = ["conv1d", "conv2d", "conv3d", "pointwise", "grouped", "depthwise", "linear"]

KERNELS = {"_WithFiltersAsTheyAreBackward", "NativeGroupNormBackward0", "WeightNormInterfaceBackward0"}
every_normalization = pytest.mark.parametrize("normalization", PER_FILTER)


def computed_by_kernel(result: Tensor) -> bool:
    node = result.grad_fn
    while node.name() in ("ViewBackward0", "PermuteBackward0"):
        node = node.next_functions[0][0]
    return node.name() in KERNELS


def both_ways(layer: nn.Module, normalization: str, gain: Tensor | None, eps: float) -> list[tuple[Tensor, ...]]:
    """Value, gradient of the weight and gradient of the gain: by the kernels, and by the equation in float64."""
    how = NORMALIZATIONS[normalization]
    outer = torch.randn_like(layer.weight)
    found = []
    for normalize, dtype in ((normalize_weight, layer.weight.dtype), (normalize_by_equation, torch.float64)):
        weight = layer.weight.detach().to(dtype).requires_grad_()
        leaves = [weight] if gain is None else [weight, gain.to(dtype).requires_grad_()]
        result = normalize(weight, how, how.filters(layer), *leaves[1:] or [None], eps)
        if normalize is normalize_weight:
            assert computed_by_kernel(result)
            assert result.is_contiguous() == weight.is_contiguous()
        grads = torch.autograd.grad(result, leaves, outer.to(dtype))
        found.append((result.detach(), *grads))
    return found


def assert_same(found: list[tuple[Tensor, ...]], **tolerances: float) -> None:
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), expected, **tolerances)


@every_normalization
@pytest.mark.parametrize("kind", WITH_KERNELS)
@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_kernels_compute_the_equation(normalization: str, kind: str, gain: bool, channels_last: bool) -> None:
    layer = make_layer(kind)
    if channels_last and layer.weight.ndim == 4:
        layer = layer.to(memory_format=torch.channels_last)
    gains = torch.rand(len(layer.weight)) + 0.5 if gain else None
    assert_same(both_ways(layer, normalization, gains, 1e-6), rtol=1e-4, atol=1e-5)
    assert_same(both_ways(layer.double(), normalization, gains, 1e-6), rtol=1e-10, atol=1e-12)


@every_normalization
@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize(("eps", "smallest"), [(1e-6, 1e-7), (0.0, 0.0), (10.0, 0.5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_filters_used_as_they_are(
    normalization: str, gain: bool, eps: float, smallest: float, dtype: torch.dtype
) -> None:
    """Two of six filters measure no more than eps, and one of them is zero; then all do."""
    layer = make_layer("conv2d").to(dtype)
    with torch.no_grad():
        layer.weight.mul_(20)
        layer.weight[1] *= smallest / 20 / layer.weight[1].norm()
        layer.weight[4] = 0
    gains = torch.rand(6, dtype=dtype) + 0.5 if gain else None
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    assert_same(both_ways(layer, normalization, gains, eps), rtol=tolerance, atol=tolerance)
    found = both_ways(layer, normalization, gains, 1e6)
    assert_same(found, rtol=tolerance, atol=tolerance)
    centred = layer.weight - layer.weight.mean((1, 2, 3), keepdim=True) if normalization != "wn" else layer.weight
    expected = centred * (1 if gains is None else gains.view(-1, 1, 1, 1))
    torch.testing.assert_close(found[0][0], expected.detach(), rtol=1e-4, atol=1e-5)


@every_normalization
def test_eps_is_a_threshold_and_no_summand(normalization: str) -> None:
    """A filter ten times above eps is divided as exactly as a long one; a summand would be off by a tenth."""
    layer = make_layer("conv2d")
    normalize_layer_(layer, normalization)
    with torch.no_grad():
        expected = layer.normalized_weight()
        filters = layer.normalization.filters(layer)
        measures = filters.stds(layer.weight) if normalization == "ws" else filters.norms(layer.weight)
        layer.weight.mul_(1e-5 / measures)
        if normalization == "cwn":
            layer.weight.mul_(10)  # its mean counts in the norm and is taken away
        torch.testing.assert_close(layer.normalized_weight(), expected, rtol=1e-5, atol=1e-6)


@every_normalization
def test_the_threshold_is_on_what_divides(normalization: str) -> None:
    """Norms for WN and CWN, the std for WS: 0.9 eps is left as it is, 1.1 eps is divided."""
    layer = make_layer("conv2d").double()
    how = NORMALIZATIONS[normalization]
    with torch.no_grad():
        if how.centred:
            layer.weight -= layer.weight.mean((1, 2, 3), keepdim=True)
        filters = how.filters(layer)
        measures = filters.stds(layer.weight) if normalization == "ws" else filters.norms(layer.weight)
        layer.weight.div_(measures)
        layer.weight[:3] *= 0.9e-3
        layer.weight[3:] *= 1.1e-3
        factors = torch.tensor([1.0] * 3 + [1 / 1.1e-3] * 3, dtype=torch.float64).view(-1, 1, 1, 1)
        expected = layer.weight * factors
        torch.testing.assert_close(normalize_weight(layer.weight, how, filters, None, 1e-3), expected)
        result = normalize_weight(layer.weight[3:], how, how.filters(nn.Conv2d(4, 3, 3)), None, 1e-3)
        torch.testing.assert_close(result, expected[3:])


@pytest.mark.parametrize("normalization", ["cwn", "ws"])
def test_filters_with_large_means_are_as_exact_as_the_equation(normalization: str) -> None:
    layer = nn.Conv2d(64, 8, 3)
    nn.init.normal_(layer.weight, mean=0.5, std=0.01)
    (ours, our_grad), (exact, exact_grad) = both_ways(layer, normalization, None, 1e-6)
    how = NORMALIZATIONS[normalization]
    equation = normalize_by_equation(layer.weight.detach(), how, how.filters(layer))
    error, allowed = (ours - exact).norm() / exact.norm(), (equation - exact).norm() / exact.norm()
    assert error < max(2 * allowed, 1e-5)
    assert (our_grad - exact_grad).norm() / exact_grad.norm() < 1e-4


@every_normalization
@pytest.mark.parametrize("gain", [False, True])
def test_second_derivatives(normalization: str, gain: bool) -> None:
    layer = make_layer("conv1d").double()
    with torch.no_grad():
        layer.weight[2] *= 1e-3 / layer.weight[2].norm()
    how = NORMALIZATIONS[normalization]
    gains = (torch.rand(6, dtype=torch.float64) + 0.5).requires_grad_() if gain else None

    def normalized(weight: Tensor, *gains: Tensor) -> Tensor:
        return normalize_weight(weight, how, how.filters(layer), *gains or [None], 0.01)

    inputs = (layer.weight, gains) if gain else (layer.weight,)
    assert computed_by_kernel(normalized(*inputs))
    assert torch.autograd.gradcheck(normalized, inputs, eps=1e-7)
    assert torch.autograd.gradgradcheck(normalized, inputs, eps=1e-7)


@pytest.mark.parametrize("wanted", ["weight", "gain"])
@every_normalization
def test_a_frozen_weight_or_gain(normalization: str, wanted: str) -> None:
    layer = make_layer("conv2d")
    normalize_layer_(layer, normalization, torch.rand(6) + 0.5)
    both = copy.deepcopy(layer)
    both.normalized_weight().square().sum().backward()
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == wanted)
    leaf, expected = layer.get_parameter(wanted), both.get_parameter(wanted).grad
    for create_graph in (True, False):
        (found,) = torch.autograd.grad(layer.normalized_weight().square().sum(), leaf, create_graph=create_graph)
        torch.testing.assert_close(found.detach(), expected)


@every_normalization
def test_only_the_weight_is_kept_for_backward(normalization: str) -> None:
    layer = make_layer("conv2d")
    normalize_layer_(layer, normalization)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        layer.normalized_weight()
    large = [tensor for tensor in kept if tensor.numel() > len(layer.weight)]
    assert [tensor.data_ptr() for tensor in large] == [layer.weight.data_ptr()]


@every_normalization
def test_autocast_leaves_the_statistics_in_float32(normalization: str) -> None:
    layer = make_layer("conv2d")
    normalize_layer_(layer, normalization)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer.normalized_weight()
        result.sum().backward()
    assert result.dtype == torch.float32
    assert torch.equal(result, layer.normalized_weight())
    assert layer.weight.grad.isfinite().all()


@every_normalization
def test_function_transforms_and_traces(normalization: str) -> None:
    layer = make_layer("conv2d")
    normalize_layer_(layer, normalization)
    how, filters = layer.normalization, layer.normalization.filters(layer)
    weight, outer = layer.weight.detach(), torch.randn_like(layer.weight)

    def loss(weight: Tensor) -> Tensor:
        return (normalize_weight(weight, how, filters) * outer).sum()

    (layer.normalized_weight() * outer).sum().backward()
    torch.testing.assert_close(torch.func.grad(loss)(weight), layer.weight.grad)
    batch = torch.stack([weight, 2 * weight])
    torch.testing.assert_close(torch.func.vmap(loss)(batch), loss(weight).expand(2), rtol=1e-4, atol=1e-4)
    x = torch.randn(2, 4, 8, 8)
    traced = torch.jit.trace(layer, x)
    with torch.no_grad():
        layer.weight[0] = 0  # a trace must not remember that no filter was zero
        torch.testing.assert_close(traced(x), layer(x))


def test_a_layer_trains_in_half_precision() -> None:
    layer = WSConv2d(4, 6, 3, gain=True).bfloat16()
    layer(torch.randn(2, 4, 8, 8, dtype=torch.bfloat16)).square().mean().backward()
    assert layer.weight.grad.dtype == layer.gain.grad.dtype == torch.bfloat16
    assert layer.weight.grad.isfinite().all()
