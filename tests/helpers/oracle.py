"""The methods straight from the papers' equations: one filter after another, one entry after another, in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from helpers.layer_cases import filters


def wrs(layer: nn.Module, weight: Tensor, radius: float | list[float] = 1.0, per: str = "filter") -> Tensor:
    """WRS paper, Algorithm 1, line 13: W[:, :, :, i] <- W[:, :, :, i] / ||W[:, :, :, i]||_2; or one radius each."""
    result = weight.detach().double().clone()
    parts = units(layer, result, per)
    for unit, r in zip(parts, radius if isinstance(radius, list) else [radius] * len(parts), strict=True):
        if length(unit) > 0:
            unit *= r / length(unit)
    return result


def aws(layer: nn.Module, weight: Tensor, eta: float, alpha: float, measure: str) -> Tensor:
    """AWS paper, eq. 20 and the first part of eq. 21: (1 - eta gamma) W, gamma = alpha ||W|| or alpha std(W)."""
    result = weight.detach().double().clone()
    for unit in filters(layer, result):
        gamma = alpha * (length(unit) if measure == "norm" else std(unit))
        unit *= max(0.0, 1 - eta * gamma)
    return result


def corrected_decay(weight: Tensor, eta: float, decay: float, eta_max: float) -> Tensor:
    """arXiv 2506.02285, SGDC and AdamC: w - eta (eta / eta_max) lambda w."""
    return weight.detach().double() * (1 - eta * (eta / eta_max) * decay)


def pgd_gradient(layer: nn.Module, gradient: Tensor) -> Tensor:
    """Constrained paper, Algorithm 1: the gradient minus (1^T g) 1 / n."""
    return centred(layer, gradient)


def pgd_weight(layer: nn.Module, weight: Tensor, c: float | None = 2.0, center: bool = True) -> Tensor:
    """Constrained paper, eq. 2: 1^T w = 0, then ||w||^2 = c, or any norm with None."""
    result = centred(layer, weight) if center else weight.detach().double().clone()
    for unit in filters(layer, result):
        if c is not None and length(unit) > 0:
            unit *= math.sqrt(c) / length(unit)
    return result


def repaired(norm: nn.Module, factors: Iterable[float], bias: Tensor | None) -> tuple[list[float], list[float]]:
    """The running mean and variance that go with filters scaled by `factors`, channel by channel.

    Before, the norm maps y to (y - mean) / sqrt(var + eps). Of y' = a (y - b) + b it makes the same if
    mean' = a (mean - b) + b and sqrt(var' + eps) = a sqrt(var + eps).
    """
    means, variances = [], []
    biases = [0.0] * norm.num_features if bias is None else bias.tolist()
    for mean, var, a, b in zip(norm.running_mean.tolist(), norm.running_var.tolist(), factors, biases, strict=True):
        means.append(a * (mean - b) + b)
        variances.append(max(0.0, a**2 * (var + norm.eps) - norm.eps))
    return means, variances


def centred(layer: nn.Module, weight: Tensor) -> Tensor:
    result = weight.detach().double().clone()
    for unit in filters(layer, result):
        unit -= mean(unit)
    return result


def units(layer: nn.Module, weight: Tensor, per: str) -> list[Tensor]:
    """Views of what is measured together: each filter, or for WRS(IC) its input channels at each kernel position."""
    if per == "filter":
        return filters(layer, weight)
    positions = itertools.product(*(range(size) for size in filters(layer, weight)[0].shape[1:]))
    return [f[(slice(None), *position)] for position in positions for f in filters(layer, weight)]


def length(unit: Tensor) -> float:
    return math.sqrt(math.fsum(x * x for x in unit.flatten().tolist()))


def lengths(layer: nn.Module, weight: Tensor) -> list[float]:
    return [length(f) for f in filters(layer, weight.detach().double())]


def mean(unit: Tensor) -> float:
    return math.fsum(unit.flatten().tolist()) / unit.numel()


def std(unit: Tensor) -> float:
    """Biased: the root of ||W - mean(W)||^2 / n (AWS paper, below eq. 21)."""
    return math.sqrt(math.fsum((x - mean(unit)) ** 2 for x in unit.flatten().tolist()) / unit.numel())


def as_vector(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
