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

LEAST_SHAPE, GREATEST_SHAPE = 0.05, 100.0


@dataclass(frozen=True)
class Shape:
    """A generalized Gaussian around 0: its density goes with exp(-(|x| / scale)^beta)."""

    beta: float
    """2 for a Gaussian, 1 for a Laplacian; below 2 the tails are heavier, which the paper calls sparse. 0.05 and 100
    are the ends of the search."""
    scale: float


@dataclass(frozen=True)
class WeightShape:
    """beta of a layer's weights."""

    name: str
    weights: float
    in_input_space: float
    """Of the weights in the eigenvectors of the layer's inputs."""


def weight_shapes(model: nn.Module, names: Sequence[str], forward: Callable[[nn.Module], Any]) -> list[WeightShape]:
    """The shapes of the named weights. `forward` runs training data through the model, which evaluates it."""
    moments = input_moments(model, names, forward)
    return [
        WeightShape(
            name,
            fit_shape(model.get_parameter(name).detach().float().cpu()).beta,
            fit_shape(projected(_layer(model, name), moments[name])).beta,
        )
        for name in names
    ]


def fit_shape(values: np.ndarray | Tensor) -> Shape:
    """The most likely generalized Gaussian around 0.

    For a given beta the best scale is known: scale^beta = beta mean(|x|^beta). What is left is a search over one
    number, which gives what `scipy.stats.gennorm.fit(values, floc=0)` gives, in a few dozen passes over the values. The
    center is fixed at 0 because the sign of an eigenvector, and so of a projected weight, is arbitrary.
    """
    sizes = np.abs(np.asarray(values, dtype=np.float64).ravel())
    if sizes.size < 2 or not np.isfinite(sizes).all() or not sizes.any():
        raise NormRegError(f"{sizes.size} values: a shape needs two or more, all finite and not all zero")
    unit = sizes.mean()
    logs = np.log(np.maximum(sizes / unit, np.finfo(np.float64).tiny))

    def loss(log_beta: float) -> float:
        """Minus the mean log likelihood at the best scale."""
        beta = np.exp(log_beta)
        return float(gammaln(1 / beta) - log_beta + np.log(2) + _log_scale(beta, logs) + 1 / beta)

    # Coarse first: the likelihood of a mixture may have several maxima.
    grid = np.linspace(np.log(LEAST_SHAPE), np.log(GREATEST_SHAPE), 16)
    middle = int(np.argmin([loss(x) for x in grid]))
    ends = grid[max(0, middle - 1)], grid[min(len(grid) - 1, middle + 1)]
    beta = float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6}).x))
    return Shape(beta, float(unit * np.exp(_log_scale(beta, logs))))


def _log_scale(beta: float, logs: np.ndarray) -> float:
    """The logarithm of the best scale. The greatest power is taken out, so that no power overflows."""
    powers = beta * logs
    top = powers.max()
    return float((np.log(beta) + top + np.log(np.exp(powers - top).mean())) / beta)


@torch.no_grad()
def input_moments(
    model: nn.Module, names: Sequence[str], forward: Callable[[nn.Module], Any]
) -> dict[str, list[Moments]]:
    """What the filters of each layer see in this forward, by group. It runs in evaluation mode.

    A filter of a convolution sees patches. A layer whose filter has n entries needs 8 n^2 bytes per group: 170 MB for
    512 channels and a 3 x 3 kernel.
    """
    found: dict[str, list[Moments]] = {name: [] for name in names}

    def gather(groups: list[Moments], module: nn.Module, x: Tensor) -> None:
        for sample in x.split(1 if x.ndim > 2 else len(x)):  # one picture at a time: patches are k^2 times as many
            for index, rows in enumerate(patches(module, sample)):
                if index == len(groups):
                    groups.append(Moments(rows))
                groups[index].add(rows.double())

    hooks = [
        _layer(model, name).register_forward_pre_hook(lambda module, x, name=name: gather(found[name], module, x[0]))
        for name in names
    ]
    modes = [(module, module.training) for module in model.modules()]
    try:
        forward(model.eval())
    finally:
        for module, mode in modes:
            module.training = mode
        for hook in hooks:
            hook.remove()
    return found


def _layer(model: nn.Module, name: str) -> nn.Module:
    module = model.get_submodule(name.rpartition(".")[0])
    if not isinstance(module, nn.Linear | nn.Conv2d):
        raise NormRegError(
            f"{name}: the inputs of a {type(module).__name__} cannot be gathered, only those of Conv2d, Linear"
        )
    return module


class Moments:
    """Mean and scatter of rows that come in batches (Chan's update: no large sums are subtracted)."""

    def __init__(self, like: Tensor) -> None:
        width = like.shape[1]
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64, device=like.device)
        self.scatter = torch.zeros(width, width, dtype=torch.float64, device=like.device)

    def add(self, rows: Tensor) -> None:
        new, total = len(rows), self.count + len(rows)
        mean = rows.mean(0)
        gap = mean - self.mean
        centred = rows - mean
        self.scatter.addmm_(centred.T, centred)
        self.scatter.add_(torch.outer(gap, gap), alpha=self.count * new / total)
        self.mean.add_(gap, alpha=new / total)
        self.count = total

    def covariance(self) -> Tensor:
        """Sigma = mean(h h^T) - mu mu^T over all rows h (eq. 12)."""
        return self.scatter / self.count


def patches(module: nn.Module, x: Tensor) -> list[Tensor]:
    """What the filters of each group see: one row per place of the output, ordered as a flattened filter."""
    if not isinstance(module, nn.Conv2d):
        return [x.reshape(-1, x.shape[-1])]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    x = F.pad(x, module._reversed_padding_repeated_twice, mode=mode)
    return [
        F.unfold(part, module.kernel_size, dilation=module.dilation, stride=module.stride).transpose(1, 2).flatten(0, 1)
        for part in x.chunk(module.groups, dim=1)
    ]


def basis(covariance: Tensor) -> Tensor:
    """The eigenvectors as columns, by falling eigenvalue.

    Directions in which the inputs do not vary are left out: training cannot move a weight along them.
    """
    values, vectors = torch.linalg.eigh(covariance)
    varying = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, varying].flip(1)


def projected(module: nn.Module, moments: Sequence[Moments]) -> Tensor:
    """All weights of a layer as coordinates along the eigenvectors U of its inputs: U^T w for each filter w."""
    filters = module.get_parameter("weight").detach().flatten(1).chunk(len(moments))
    bases = [basis(each.covariance()) for each in moments]
    return torch.cat([(w.to(u) @ u).flatten() for w, u in zip(filters, bases, strict=True)])
