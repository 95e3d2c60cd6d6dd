"""How sparse weights are: the shape of a generalized Gaussian, in weight space and in the space of a layer's inputs.

WRS paper, Section V-A, Fig. 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from torch import Tensor, nn

from normreg_plugins.core.errors import NormRegError
from research.filters.input_space import InputSpaces, filters_by_group

LEAST_SHAPE, GREATEST_SHAPE = 0.05, 100.0


@dataclass(frozen=True)
class Shape:
    """A generalized Gaussian around 0: its density goes with exp(-(|x| / scale)^beta)."""

    beta: float
    """2 for a Gaussian, 1 for a Laplacian; below 2 the tails are heavier, which the paper calls sparse. Values at
    0.05 and 100 are the ends of the search."""
    scale: float


@dataclass(frozen=True)
class WeightShape:
    name: str
    weights: Shape
    in_input_space: Shape | None
    """Of the weights in the eigenvectors of the layer's inputs; None where no inputs were shown."""


def fit_shape(values: np.ndarray | Tensor) -> Shape:
    """The most likely generalized Gaussian around 0.

    For a given beta the best scale is known: scale^beta = beta mean(|x|^beta). What is left is a search over one
    number, which gives what `scipy.stats.gennorm.fit(values, floc=0)` gives, in a few dozen passes over the values. The
    centre is fixed because the sign of an eigenvector, and so of a projected weight, is arbitrary.
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


def weight_shapes(
    model: nn.Module, names: Iterable[str], forwards: Iterable[Callable[[nn.Module], Any]] = ()
) -> list[WeightShape]:
    """The shape of each named weight, and with `forwards` also after projection into the space of its inputs.

    Args:
        forwards: callables that each run one batch of the training data through the model they are given. The model
            evaluates them, so its running statistics stay as they are.
    """
    names, forwards = list(names), list(forwards)
    shapes = {name: fit_shape(model.get_parameter(name).detach().float().cpu()) for name in names}
    if not forwards:
        return [WeightShape(name, shape, None) for name, shape in shapes.items()]
    with InputSpaces(model, names) as spaces:
        for forward in forwards:
            spaces.show(forward)
    return [WeightShape(name, shape, fit_shape(projected(model, name, spaces))) for name, shape in shapes.items()]


def projected(model: nn.Module, name: str, spaces: InputSpaces) -> Tensor:
    """All weights of a layer as coordinates along the eigenvectors U of its inputs: U^T w for each filter w."""
    module = model.get_submodule(name.rpartition(".")[0])
    bases = spaces.bases(name)
    return torch.cat([(w.to(u) @ u).flatten() for w, u in zip(filters_by_group(module), bases)])


def _log_scale(beta: float, logs: np.ndarray) -> float:
    """The logarithm of the best scale. The greatest power is taken out, so that no power overflows."""
    powers = beta * logs
    top = powers.max()
    return float((np.log(beta) + top + np.log(np.exp(powers - top).mean())) / beta)
