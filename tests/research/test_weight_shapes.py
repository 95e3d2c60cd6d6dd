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
from research.filters.input_space import InputSpaces, patches
from research.filters.shape_plot import plot_shapes
from research.filters.weight_shapes import fit_shape, projected, weight_shapes


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
    "conv1d": lambda: nn.Conv1d(4, 6, 3, stride=2, dilation=2, padding=2),
    "linear": lambda: nn.Linear(4, 6),
}


def inputs(kind: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = {"linear": (4,), "conv1d": (4, 9)}.get(kind, (4, 9, 8))
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
def test_covariances_are_those_of_all_patches_at_once(kind: str) -> None:
    net = nn.Sequential(LAYERS[kind]().double())
    batches = inputs(kind)
    with InputSpaces(net, ["0.weight"]) as spaces:
        for x in batches:
            spaces.show(lambda model, x=x: model(x))
    for found, basis, rows in zip(
        spaces.covariances("0.weight"), spaces.bases("0.weight"), seen_by_each_group(net[0], batches), strict=True
    ):
        h = torch.stack(rows)
        sigma = sum(torch.outer(row, row) for row in h) / len(h) - torch.outer(h.mean(0), h.mean(0))  # eq. 12
        torch.testing.assert_close(found, sigma, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64))
        values = torch.diagonal(basis.T @ sigma @ basis)
        assert (values[:-1] >= values[1:] - 1e-9).all()
        torch.testing.assert_close(basis @ torch.diag(values) @ basis.T, sigma, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", ["plain", "grouped"])
def test_projection_is_the_dense_one_up_to_signs(kind: str) -> None:
    net = nn.Sequential(LAYERS[kind]().double())
    batches = inputs(kind)
    with InputSpaces(net, ["0.weight"]) as spaces:
        for x in batches:
            spaces.show(lambda model, x=x: model(x))
    expected = []
    for rows, filters in zip(seen_by_each_group(net[0], batches), net[0].weight.detach().chunk(net[0].groups)):
        _, vectors = np.linalg.eigh(np.cov(torch.stack(rows).numpy().T, bias=True))
        expected.append(filters.flatten(1).numpy() @ vectors[:, ::-1])
    dense = np.concatenate([each.ravel() for each in expected])
    np.testing.assert_allclose(np.abs(projected(net, "0.weight", spaces).numpy()), np.abs(dense), rtol=1e-6, atol=1e-9)
    shape = weight_shapes(net, ["0.weight"], [lambda model, x=x: model(x) for x in batches])[0]
    assert shape.in_input_space.beta == pytest.approx(fit_shape(dense).beta, rel=1e-5)
    assert shape.weights == fit_shape(net[0].weight.detach().float())


def test_directions_in_which_inputs_do_not_vary_are_left_out() -> None:
    net = nn.Sequential(nn.Linear(4, 6).double())
    x = inputs("linear")[2]
    x[:, 1] = 2.0
    x[:, 3] = x[:, 0]
    with InputSpaces(net, ["0.weight"]) as spaces:
        spaces.show(lambda model: model(x))
    (basis,) = spaces.bases("0.weight")
    assert basis.shape == (4, 2)
    assert basis[1].abs().max() < 1e-9


def test_the_model_stays_as_it_was() -> None:
    net, untouched = tiny_net(), tiny_net()
    x = torch.randn(2, 3, 8, 8)
    shapes = weight_shapes(net, ["0.weight", "3.weight"], [lambda model: model(x)])
    assert [shape.name for shape in shapes] == ["0.weight", "3.weight"]
    assert same_state(net, untouched)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert weight_shapes(net, ["0.weight"])[0].in_input_space is None


def test_what_cannot_be_gathered_is_said() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(2, 2, 3), nn.Conv2d(2, 2, 1))
    with pytest.raises(NormRegError, match=r"0\.weight: the inputs of a ConvTranspose2d"):
        InputSpaces(net, ["0.weight"])
    with InputSpaces(net, ["1.weight"]) as spaces, pytest.raises(NormRegError, match="no forward has called"):
        spaces.bases("1.weight")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_shapes_are_drawn_for_several_networks(tmp_path, suffix: str) -> None:
    x = torch.randn(2, 3, 8, 8)
    names = ["0.weight", "3.weight"]
    networks = {
        "shown inputs": weight_shapes(tiny_net(), names, [lambda model: model(x)]),
        "weights only": weight_shapes(tiny_net(1), names),
    }
    plot_shapes(networks, tmp_path / f"shapes{suffix}")
    assert 0 < (tmp_path / f"shapes{suffix}").stat().st_size < 100_000
    with pytest.raises(NormRegError, match="no shapes"):
        plot_shapes({"empty": []}, tmp_path / "none.png")
