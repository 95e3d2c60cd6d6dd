"""The four weight normalizations WN, CWN, WS and BWN: what each does, and the equation as a pure function.

Layers take `native_kernels.normalize_weight`, which computes the same faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import Filters, Per, at_least_float32, filters_of

EPS = 1e-6


@dataclass(frozen=True)
class Normalization:
    """W' = gain * (W - centred * mean(W)) / measure(W - centred * mean(W))."""

    name: str
    centred: bool
    """Each filter loses its mean first."""
    measure: Literal["norm", "std", "matrix"]
    """What divides: each filter's norm, its biased std, or the root mean square of the layer's filter norms."""

    @property
    def unit(self) -> Per:
        """What is divided by one number, and has one gain."""
        return "layer" if self.measure == "matrix" else "filter"

    def filters(self, module: nn.Module) -> Filters:
        return filters_of(module, self.unit)


NORMALIZATIONS = {
    normalization.name: normalization
    for normalization in (
        Normalization("wn", centred=False, measure="norm"),  # AWS paper, eq. 23
        Normalization("cwn", centred=True, measure="norm"),  # AWS paper, eq. 24
        Normalization("ws", centred=True, measure="std"),  # AWS paper, eq. 25; constrained paper, eq. 15-17
        Normalization("bwn", centred=False, measure="matrix"),  # Hoffer et al. 2018: ||W||_F is fixed
    )
}


def normalize_by_equation(
    weight: Tensor,
    normalization: Normalization,
    filters: Filters,
    gain: Tensor | None = None,
    eps: float = EPS,
) -> Tensor:
    """The normalized weight, in float32 at least."""
    wide = centred(weight, normalization, filters)
    size = divisor(wide, normalization, filters, eps)
    wide = wide / size if gain is None else wide * (gain.view_as(size) / size)
    return wide.reshape(weight.shape)


def centred(weight: Tensor, normalization: Normalization, filters: Filters) -> Tensor:
    """The weight, viewed filter by filter, in float32 at least. A centred normalization takes its filter means away."""
    wide = filters.view(weight).to(at_least_float32(weight.dtype))
    return wide - filters.means(wide) if normalization.centred else wide


def divisor(wide: Tensor, normalization: Normalization, filters: Filters, eps: float = EPS) -> Tensor:
    """What divides each filter (BWN: the layer), with the reduced axes kept; 1 where its measure is eps or less.

    The std is computed as a norm, sqrt(||W - mean||^2 / n), as eq. 25 writes it. At zero the gradient of a norm is 0,
    and that of torch.std is NaN.
    """
    norm = filters.norms(wide)
    entries = wide.numel() // norm.numel()
    size = norm / entries**0.5 if normalization.measure == "std" else norm
    return torch.where(size > eps, size, torch.ones_like(size))
