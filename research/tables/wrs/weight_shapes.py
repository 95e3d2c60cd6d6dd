"""How sparse weights are: the shape of a generalized Gaussian, as they are and in the space of a layer's inputs.

WRS paper, Section V-A, eq. 12, Fig. 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from torch import Tensor, nn
from torch.nn import functional as F

from normreg_plugins.core.errors import NormRegError


@dataclass(frozen=True)
class WeightShape:
    """beta of a layer's weights: 2 for a Gaussian; below 2 the tails are heavier, which the paper calls sparse."""

    name: str
    weights: float
    in_input_space: float
    """Of the weights in the eigenvectors of the layer's inputs."""


def weight_shapes(model: nn.Module, names: Sequence[str], images: Tensor) -> list[WeightShape]:
    """The shapes of the named weights of convolutions, as they are and in the space of their inputs.

    Args:
        images: training data. The model, in evaluation mode, gets one image at a time.
    """
    layers = {name: convolution(model, name) for name in names}
    covariances = input_covariances(model.eval(), layers, images)
    found = []
    for name, layer in layers.items():
        filters = layer.weight.detach().flatten(1).double()
        space = basis(covariances[name])
        if not space.numel():
            raise NormRegError(f"{name}: its inputs are all alike, or NaN")
        found.append(WeightShape(name, shape_of(filters), shape_of(filters @ space)))
    return found


def convolution(model: nn.Module, name: str) -> nn.Conv2d:
    layer = model.get_submodule(name.rpartition(".")[0])
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1 or layer.padding_mode != "zeros":
        raise NormRegError(f"{name}: input space needs an nn.Conv2d without groups and with zero padding")
    return layer


def shape_of(values: Tensor) -> float:
    """beta of the most likely generalized Gaussian around 0, whose density goes with exp(-(|x| / scale)^beta).

    For a given beta the best scale is known: scale^beta = beta mean(|x|^beta). What is left is a search over one
    number, which gives what `scipy.stats.gennorm.fit(values, floc=0)` gives, in a few dozen passes over the values. The
    center is fixed at 0 because the sign of an eigenvector, and so of a projected weight, is arbitrary.
    """
    sizes = values.detach().double().abs().flatten().cpu().numpy()
    logs = np.log(np.maximum(sizes / sizes.mean(), 1e-300))

    def loss(log_beta: float) -> float:
        """Minus the mean log likelihood at the best scale."""
        beta = np.exp(log_beta)
        powers = beta * logs
        log_scale = (log_beta + powers.max() + np.log(np.exp(powers - powers.max()).mean())) / beta
        return float(gammaln(1 / beta) - log_beta + log_scale + 1 / beta)

    # Coarse first: the likelihood of a mixture may have several maxima.
    grid = np.linspace(np.log(0.05), np.log(100), 16)
    middle = int(np.argmin([loss(x) for x in grid]))
    ends = grid[max(0, middle - 1)], grid[min(len(grid) - 1, middle + 1)]
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6}).x))


@torch.no_grad()
def input_covariances(model: nn.Module, layers: dict[str, nn.Conv2d], images: Tensor) -> dict[str, Tensor]:
    """Sigma = mean(h h^T) - mu mu^T over all patches h that the filters of a layer see (eq. 12)."""
    sums: dict[str, list[Any]] = {name: [0, 0.0, 0.0] for name in layers}

    def gather(name: str) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> None:
            h = patches(layers[name], inputs[0]).double()
            count, total, products = sums[name]
            sums[name] = [count + len(h), total + h.sum(0), products + h.T @ h]

        return hook

    hooks = [layer.register_forward_pre_hook(gather(name)) for name, layer in layers.items()]
    try:
        for image in images.split(1):  # a patch has as many entries as a filter: k^2 times the image
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    means = {name: (total / count, products / count) for name, (count, total, products) in sums.items()}
    return {name: second - torch.outer(mu, mu) for name, (mu, second) in means.items()}


def patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """What the filters see: one row per place of the output, ordered as a flattened filter."""
    x = F.pad(x, layer._reversed_padding_repeated_twice)
    return F.unfold(x, layer.kernel_size, layer.dilation, stride=layer.stride).transpose(1, 2).flatten(0, 1)


def basis(covariance: Tensor) -> Tensor:
    """The eigenvectors as columns, by falling eigenvalue.

    Directions in which the inputs do not vary are left out: training cannot move a weight along them.
    """
    values, vectors = torch.linalg.eigh(covariance)
    varying = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, varying].flip(1)
