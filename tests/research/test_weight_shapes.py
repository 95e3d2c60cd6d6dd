"""Shapes of weights against scipy, and input spaces against dense references."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import gennorm
from torch import Tensor, nn
from torch.nn import functional as F

from normreg_plugins.core.errors import NormRegError
from research.tables.wrs.weight_shapes import input_covariances, patches, shape_of, weight_shapes


@pytest.mark.parametrize("beta", [0.5, 1.3, 3.0])
@pytest.mark.parametrize("factor", [1.0, -1e30])
def test_a_shape_is_the_most_likely_one_as_scipys(beta: float, factor: float) -> None:
    values = gennorm.rvs(beta, scale=2.0, size=500, random_state=1)
    slow, _, _ = gennorm.fit(values, floc=0)
    assert shape_of(torch.from_numpy(factor * values)) == pytest.approx(slow, rel=1e-3)


LAYERS = {
    "plain": lambda: nn.Conv2d(4, 6, 3),
    "strided": lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0)),
    "dilated": lambda: nn.Conv2d(4, 6, 3, dilation=2, padding="same"),
}


def images() -> Tensor:
    return 3 + torch.randn(8, 4, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def seen(layer: nn.Conv2d, batch: Tensor) -> Tensor:
    """All patches, cut out one place after another."""
    found = []
    offsets = list(itertools.product(*(range(0, k * d, d) for k, d in zip(layer.kernel_size, layer.dilation))))
    for image in batch:
        padded = F.pad(image, layer._reversed_padding_repeated_twice)
        reach = [d * (k - 1) for k, d in zip(layer.kernel_size, layer.dilation)]
        places = [range(0, size - r, s) for size, r, s in zip(padded.shape[1:], reach, layer.stride)]
        for y, x in itertools.product(*places):
            found.append(torch.stack([channel[y + dy, x + dx] for channel in padded for dy, dx in offsets]))
    return torch.stack(found)


@pytest.mark.parametrize("kind", LAYERS)
def test_patches_covariance_and_projection_are_the_dense_ones(kind: str) -> None:
    """The projection is known up to the signs of the eigenvectors, which its shape does not depend on."""
    net = nn.Sequential(LAYERS[kind]().double())
    h, w = seen(net[0], images()), net[0].weight.detach().flatten(1)
    torch.testing.assert_close(patches(net[0], images()), h)
    torch.testing.assert_close(net(images()).transpose(0, 1).flatten(1), (h @ w.T + net[0].bias).T)
    sigma = h.T @ h / len(h) - torch.outer(h.mean(0), h.mean(0))  # eq. 12
    found = input_covariances(net, {"0.weight": net[0]}, images())["0.weight"]
    torch.testing.assert_close(found, sigma, rtol=1e-9, atol=1e-9)
    _, vectors = np.linalg.eigh(sigma.numpy())
    (shape,) = weight_shapes(net, ["0.weight"], images())
    assert shape.in_input_space == pytest.approx(shape_of(w @ torch.from_numpy(vectors)), rel=1e-5)
    assert shape.weights == shape_of(w)
    assert not net[0]._forward_pre_hooks


def test_a_layer_without_an_input_space_is_named() -> None:
    with pytest.raises(NormRegError, match=r"0\.weight: input space needs"):
        weight_shapes(nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)), ["0.weight"], torch.zeros(1, 2, 4, 4))
    with pytest.raises(NormRegError, match=r"0\.weight: its inputs are all alike"):
        weight_shapes(nn.Sequential(nn.Conv2d(2, 2, 3)), ["0.weight"], torch.zeros(1, 2, 4, 4))
