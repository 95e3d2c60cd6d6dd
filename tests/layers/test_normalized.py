"""Weight-normalized layers against the papers' equations, one filter at a time: values, gradients, zero filters."""

import copy
import pickle

import pytest
import torch
from helpers.layer_cases import LAYERS, filters, make_input, make_layer, normalized_oracle
from torch import Tensor, nn

from normreg_plugins.layers import MIXINS, NORMALIZATIONS, WNConv2d, normalize_weight, normalized_class
from normreg_plugins.layers.normalized import normalize_layer_

CASES = [(kind, normalization) for kind in LAYERS for normalization in NORMALIZATIONS]
every_case = pytest.mark.parametrize(("kind", "normalization"), CASES)
KERNELS = {"NativeGroupNormBackward0", "WeightNormInterfaceBackward0"}
NEW_COMPILER = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 6)
every_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS)


def normalized(kind: str, normalization: str, gain: bool = False, eps: float = 1e-6) -> nn.Module:
    """A weight-normalized layer; with `gain`, one that differs from filter to filter."""
    layer = make_layer(kind)
    size = 1 if normalization == "bwn" else len(filters(layer, layer.weight))
    normalize_layer_(layer, normalization, torch.rand(size) + 0.5 if gain else None, eps)
    return layer


def kernel_of(result: Tensor) -> str:
    """The operation that made this weight, before its axes were put in order."""
    node = result.grad_fn
    while node.name() in ("ViewBackward0", "PermuteBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0"):
        node = node.next_functions[0][0]
    return node.name()


@every_case
@pytest.mark.parametrize("gain", [False, True])
def test_weight_is_that_of_the_equation(kind: str, normalization: str, gain: bool) -> None:
    layer = normalized(kind, normalization, gain, eps=0.0).double()
    expected = normalized_oracle(layer, layer.weight, normalization)
    if gain:
        gains = layer.gain.detach().expand(len(filters(layer, expected)))
        for w, g in zip(filters(layer, expected), gains, strict=True):
            w *= g
    torch.testing.assert_close(layer.normalized_weight(), expected, rtol=1e-12, atol=1e-13)
    layer.float().eps = 1e-6  # the default
    torch.testing.assert_close(layer.normalized_weight().double(), expected, rtol=1e-6, atol=1e-6)


@every_case
def test_output_is_the_torch_layers_with_that_weight(kind: str, normalization: str) -> None:
    layer = normalized(kind, normalization)
    plain = LAYERS[kind]()
    with torch.no_grad():
        plain.weight.copy_(normalized_oracle(layer, layer.weight, normalization))
        plain.bias.copy_(layer.bias)
    x = make_input(layer)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)


def test_transposed_layer_takes_an_output_size() -> None:
    layer = normalized_class(nn.ConvTranspose2d, "wn")(4, 6, 3, stride=2)
    assert layer(torch.randn(1, 4, 8, 8), output_size=[18, 18]).shape == (1, 6, 18, 18)


@every_case
@pytest.mark.parametrize("gain", [False, True])
def test_gradient_is_the_numeric_one(kind: str, normalization: str, gain: bool) -> None:
    layer = normalized(kind, normalization, gain).double()
    parameters = [layer.weight] if layer.gain is None else [layer.weight, layer.gain]
    probe = torch.randn_like(layer.weight)

    def projection(*_):
        return (layer.normalized_weight() * probe).sum()

    assert torch.autograd.gradcheck(projection, parameters, fast_mode=True)


def test_gradient_of_weight_standardization_is_that_of_the_paper() -> None:
    """Constrained paper, eq. 18-19, written out for each filter."""
    layer = normalized("conv2d", "ws").double()
    outer = torch.randn_like(layer.weight)
    (layer.normalized_weight() * outer).sum().backward()
    unit = normalized_oracle(layer, layer.weight, "ws")
    for w, g, w_hat, result in zip(layer.weight, outer, unit, layer.weight.grad, strict=True):
        n, std = w.numel(), w.std(unbiased=False)
        scaled = (g - (w_hat * g).sum() / n * w_hat) / std
        torch.testing.assert_close(result, scaled - scaled.mean())


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_zero_filter_gives_zero_and_a_finite_gradient(kind: str, normalization: str, dtype: torch.dtype) -> None:
    """WS and CWN: so does a constant one. The gradient of the other filters stays that of the paper."""
    layer = normalized(kind, normalization).to(dtype)
    with torch.no_grad():
        filters(layer, layer.weight)[0].zero_()
        if NORMALIZATIONS[normalization].centred:
            filters(layer, layer.weight)[1].fill_(0.25)
    result = layer.normalized_weight()
    result.backward(1e-3 * torch.randn_like(result))  # so small that a gradient in float16 does not overflow
    assert not filters(layer, result.detach())[0].any()
    if NORMALIZATIONS[normalization].centred:
        assert not filters(layer, result.detach())[1].any()
    assert layer.weight.grad.isfinite().all()
    assert filters(layer, layer.weight.grad)[0].abs().max() < 1e6
    assert result.dtype == layer.weight.grad.dtype == dtype


@pytest.mark.parametrize("normalization", ["wn", "cwn", "ws"])
@pytest.mark.parametrize("kind", ["conv1d", "conv2d", "conv3d", "pointwise", "grouped", "depthwise", "linear"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_one_kernel_computes_a_layer_and_saves_nothing_but_its_weight(
    normalization: str, kind: str, channels_last: bool
) -> None:
    layer = normalized(kind, normalization)
    if channels_last and layer.weight.ndim == 4:
        layer = layer.to(memory_format=torch.channels_last)
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        result = layer.normalized_weight()
    assert kernel_of(result) in KERNELS
    assert not channels_last or layer.weight.ndim != 4 or result.is_contiguous(memory_format=torch.channels_last)
    large = [tensor.data_ptr() for tensor in saved if tensor.numel() > len(layer.weight)]
    assert set(large) <= {layer.weight.data_ptr()}


@pytest.mark.parametrize("normalization", ["cwn", "ws"])
def test_filters_with_large_means_are_exact(normalization: str) -> None:
    layer, how = nn.Conv2d(64, 8, 3), NORMALIZATIONS[normalization]
    nn.init.normal_(layer.weight, mean=0.5, std=0.01)
    outer = torch.randn_like(layer.weight)
    found = []
    for dtype in (torch.float32, torch.float64):
        weight = layer.weight.detach().to(dtype).requires_grad_()
        result = normalize_weight(weight, how, how.filters(layer))
        found.append((result.detach(), *torch.autograd.grad(result, weight, outer.to(dtype))))
    for ours, exact in zip(*found, strict=True):
        assert (ours - exact).norm() / exact.norm() < 1e-4


@every_normalization
@pytest.mark.parametrize("gain", [False, True])
def test_second_derivatives_are_right_or_refused(normalization: str, gain: bool) -> None:
    layer = normalized("conv1d", normalization, gain).double()
    inputs = [parameter for name, parameter in layer.named_parameters() if name != "bias"]

    def weight(*_: Tensor) -> Tensor:
        return layer.normalized_weight()

    if normalization != "wn":
        assert torch.autograd.gradgradcheck(weight, inputs)
        return
    with pytest.raises(RuntimeError, match=r"WN on a CPU: .* Use torch\.func\.grad"):
        torch.autograd.grad(weight().sum(), inputs, create_graph=True)
    how, parts, outer = layer.normalization, layer.normalization.filters(layer), torch.randn_like(layer.weight)
    gradient = torch.func.grad(lambda w: (normalize_weight(w, how, parts, layer.gain) * outer).sum())
    assert torch.autograd.gradcheck(gradient, layer.weight)


@every_normalization
def test_autocast_leaves_the_statistics_in_float32(normalization: str) -> None:
    layer = normalized("conv2d", normalization)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer.normalized_weight()
        result.sum().backward()
    assert result.dtype == torch.float32
    assert torch.equal(result, layer.normalized_weight())
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("normalization", ["wn", "cwn", "ws"])
def test_function_transforms_and_traces(normalization: str) -> None:
    layer = normalized("conv2d", normalization)
    how, parts = layer.normalization, layer.normalization.filters(layer)
    weight, outer = layer.weight.detach(), torch.randn_like(layer.weight)

    def loss(weight: Tensor) -> Tensor:
        return (normalize_weight(weight, how, parts) * outer).sum()

    (layer.normalized_weight() * outer).sum().backward()
    torch.testing.assert_close(torch.func.grad(loss)(weight), layer.weight.grad)
    batch = torch.stack([weight, 2 * weight])
    torch.testing.assert_close(torch.func.vmap(loss)(batch), loss(weight).expand(2), rtol=1e-4, atol=1e-4)
    x = torch.randn(2, 4, 8, 8)
    traced = torch.jit.trace(layer, x)
    with torch.no_grad():
        layer.weight[0] = 0  # a trace must not assume that no filter is zero
        torch.testing.assert_close(traced(x), layer(x))


@every_normalization
def test_half_precision_weights_are_summed_in_float32(normalization: str) -> None:
    """The squares of this filter overflow in float16, and its sum does."""
    layer = normalized("conv2d", normalization).half()
    layer.weight.data.mul_(3000)
    assert layer.normalized_weight().isfinite().all()
    expected = normalized_oracle(layer, layer.weight.double(), normalization)
    assert 0.5 < layer.normalized_weight().float().norm() / expected.norm() < 2


@pytest.mark.parametrize("plain_class", MIXINS)
@every_normalization
def test_checkpoints_pickle_deepcopy_and_repr(plain_class: type[nn.Module], normalization: str) -> None:
    arguments = (4, 6) if plain_class is nn.Linear else (4, 6, 3)
    plain, ours = plain_class(*arguments), normalized_class(plain_class, normalization)(*arguments)
    assert ours.load_state_dict(plain.state_dict()).missing_keys == []
    torch.testing.assert_close(ours.weight, plain.weight)
    assert plain.load_state_dict(ours.state_dict()).unexpected_keys == []
    layer = normalized_class(plain_class, normalization)(*arguments, gain=True, eps=1e-4)
    assert set(layer.state_dict()) - set(plain.state_dict()) == {"gain"}
    assert repr(layer).startswith(f"{normalization.upper()}{plain_class.__name__}(")
    assert repr(layer).endswith("gain=True, eps=0.0001)")
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert type(twin) is type(layer)
        assert repr(twin) == repr(layer)
        torch.testing.assert_close(twin.normalized_weight(), layer.normalized_weight())


@every_normalization
def test_compiles_to_one_graph(normalization: str) -> None:
    """Torch before 2.6 breaks the graph, with the same result."""
    layer = normalized("conv2d", normalization, gain=True)
    x = make_input(layer)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=NEW_COMPILER)
    torch.testing.assert_close(compiled(x), layer(x))
    with torch.no_grad():
        layer.weight[0] = 0
    results = []
    for forward in (compiled, layer):
        layer.zero_grad()
        forward(x).square().sum().backward()
        results.append(layer.weight.grad.clone())
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-3)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="unknown weight normalization 'wx'"):
        normalized_class(nn.Conv2d, "wx")
    with pytest.raises(ValueError, match="Bilinear has no weight-normalized form"):
        normalized_class(nn.Bilinear, "wn")
    for eps in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="eps"):
            WNConv2d(4, 6, 3, eps=eps)
