"""Shapes of weights against scipy, and input spaces against dense references."""

import itertools

import numpy as np
import pytest
import torch
from helpers.training import same_state, tiny_net
from scipy.stats import gennorm
from torch import Tensor, nn
from torch.nn import functional as F

from normreg_plugins.core.errors import NormRegError
from research.tables.wrs.weight_shapes import basis, fit_shape, input_moments, patches, projected, weight_shapes


@pytest.mark.parametrize("beta", [0.4, 0.7, 1.0, 2.0, 5.0])
def test_a_shape_is_found(beta: float) -> None:
    values = gennorm.rvs(beta, scale=0.03, size=40_000, random_state=0)
    found = fit_shape(values)
    assert found.beta == pytest.approx(beta, rel=0.03)
    assert found.scale == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize("beta", [0.5, 1.3, 3.0])
def test_a_fit_is_the_most_likely_one_as_scipys(beta: float) -> None:
    values = gennorm.rvs(beta, scale=2.0, size=500, random_state=1)
    found = fit_shape(values)
    slow, _, scale = gennorm.fit(values, floc=0)
    assert found.beta == pytest.approx(slow, rel=1e-3)
    assert found.scale == pytest.approx(scale, rel=1e-3)
    assert gennorm.nnlf((found.beta, 0, found.scale), values) <= gennorm.nnlf((slow, 0, scale), values) + 1e-6


@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e30])
def test_a_shape_does_not_depend_on_scale_or_sign(factor: float) -> None:
    values = gennorm.rvs(0.8, size=1000, random_state=2)
    found = fit_shape(-values * factor)
    assert found.beta == pytest.approx(fit_shape(values).beta, rel=1e-5)
    assert found.scale == pytest.approx(fit_shape(values).scale * factor, rel=1e-5)


def test_even_values_go_to_the_end_of_the_search() -> None:
    assert fit_shape(np.array([1.0, -1.0] * 50)).beta > 90


def test_zeros_among_the_values_make_it_sparser() -> None:
    values = gennorm.rvs(2.0, size=1000, random_state=3)
    assert fit_shape(np.concatenate([values, np.zeros(500)])).beta < 0.5 * fit_shape(values).beta


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0], [1.0, np.nan]])
def test_values_without_a_shape_are_refused(values) -> None:
    with pytest.raises(NormRegError, match="values"):
        fit_shape(np.array(values))


LAYERS = {
    "plain": lambda: nn.Conv2d(4, 6, 3),
    "strided": lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0)),
    "dilated": lambda: nn.Conv2d(4, 6, 3, dilation=2, padding="same"),
    "grouped": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4, padding=1, padding_mode="reflect"),
    "linear": lambda: nn.Linear(4, 6),
}


def inputs(kind: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (4,) if kind == "linear" else (4, 9, 8)
    return [3 + torch.randn(size, *shape, generator=generator, dtype=torch.float64) for size in (3, 1, 4)]


@pytest.mark.parametrize("kind", LAYERS)
def test_patches_times_filters_is_the_layer(kind: str) -> None:
    """What is gathered is what the filters see, entry by entry."""
    layer = LAYERS[kind]().double()
    x = inputs(kind)[0]
    filters = layer.weight.flatten(1).chunk(getattr(layer, "groups", 1))
    made = torch.cat([seen @ w.T for seen, w in zip(patches(layer, x), filters)], 1) + layer.bias
    y = layer(x)
    torch.testing.assert_close(made, y.flatten(2).transpose(1, 2).flatten(0, 1) if y.ndim > 2 else y)


def seen_by_each_group(layer: nn.Module, batches: list[Tensor]) -> list[list[Tensor]]:
    """All patches, cut out one place after another."""
    if isinstance(layer, nn.Linear):
        return [[row for batch in batches for row in batch]]
    found: list[list[Tensor]] = [[] for _ in range(layer.groups)]
    width = layer.in_channels // layer.groups
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    for image in torch.cat(batches):
        padded = F.pad(image[None], layer._reversed_padding_repeated_twice, mode=mode)[0]
        offsets = list(itertools.product(*(range(0, k * d, d) for k, d in zip(layer.kernel_size, layer.dilation))))
        reach = [d * (k - 1) for k, d in zip(layer.kernel_size, layer.dilation)]
        places = [range(0, size - r, s) for size, r, s in zip(padded.shape[1:], reach, layer.stride)]
        for place in itertools.product(*places):
            for group in range(layer.groups):
                channels = padded[group * width : (group + 1) * width]
                entries = [c[tuple(p + o for p, o in zip(place, offset))] for c in channels for offset in offsets]
                found[group].append(torch.stack(entries))
    return found


@pytest.mark.parametrize("kind", LAYERS)
def test_moments_and_projection_are_the_dense_ones(kind: str) -> None:
    """The projection is known up to the signs of the eigenvectors."""
    net = nn.Sequential(LAYERS[kind]().double())
    batches = inputs(kind)
    moments = input_moments(net, ["0.weight"], lambda model: [model(x) for x in batches])["0.weight"]
    expected = []
    filters = net[0].weight.detach().flatten(1).chunk(len(moments))
    for found, rows, w in zip(moments, seen_by_each_group(net[0], batches), filters, strict=True):
        h = torch.stack(rows)
        sigma = sum(torch.outer(row, row) for row in h) / len(h) - torch.outer(h.mean(0), h.mean(0))  # eq. 12
        torch.testing.assert_close(found.covariance(), sigma, rtol=1e-9, atol=1e-9)
        _, vectors = np.linalg.eigh(sigma.numpy())
        expected.append((w.numpy() @ vectors[:, ::-1]).ravel())
    dense = np.concatenate(expected)
    np.testing.assert_allclose(np.abs(projected(net[0], moments).numpy()), np.abs(dense), rtol=1e-5, atol=1e-8)
    (shape,) = weight_shapes(net, ["0.weight"], lambda model: [model(x) for x in batches])
    assert shape.in_input_space == pytest.approx(fit_shape(dense).beta, rel=1e-5)
    assert shape.weights == fit_shape(net[0].weight.detach().float()).beta


def test_directions_in_which_inputs_do_not_vary_are_left_out() -> None:
    x = inputs("linear")[2]
    x[:, 1] = 2.0
    x[:, 3] = x[:, 0]
    columns = basis(torch.cov(x.T, correction=0))
    assert columns.shape == (4, 2)
    assert columns[1].abs().max() < 1e-9


def test_the_model_stays_as_it_was() -> None:
    net, untouched = tiny_net(), tiny_net()
    x = torch.randn(2, 3, 8, 8)
    shapes = weight_shapes(net, ["0.weight", "3.weight"], lambda model: model(x))
    assert [shape.name for shape in shapes] == ["0.weight", "3.weight"]
    assert same_state(net, untouched)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_a_layer_whose_inputs_cannot_be_gathered_is_named() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(2, 2, 3))
    with pytest.raises(NormRegError, match=r"0\.weight: the inputs of a ConvTranspose2d"):
        input_moments(net, ["0.weight"], lambda model: model)
