"""The four weight normalizations as one pure function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from normreg_plugins.core.model import Filters, Per, at_least_float32, filters_of

EPS = 1e-6


@dataclass(frozen=True)
class Rule:
    """W' = gain * (W - centred * mean(W)) / measure(W - centred * mean(W))."""

    name: str
    centred: bool
    """Each filter loses its mean first."""
    measure: Literal["norm", "std", "matrix"]
    """What divides: each filter's length, its biased std, or the rms filter length of the layer."""

    @property
    def unit(self) -> Per:
        """What is divided by one number, and has one gain."""
        return "layer" if self.measure == "matrix" else "filter"

    def filters(self, module: nn.Module) -> Filters:
        return filters_of(module, self.unit)


RULES = {
    rule.name: rule
    for rule in (
        Rule("wn", centred=False, measure="norm"),  # AWS paper, eq. 23
        Rule("cwn", centred=True, measure="norm"),  # AWS paper, eq. 24
        Rule("ws", centred=True, measure="std"),  # AWS paper, eq. 25; constrained paper, eq. 15-17
        Rule("bwn", centred=False, measure="matrix"),  # Hoffer et al. 2018: ||W||_F is fixed
    )
}


def normalize_weight(
    weight: Tensor,
    rule: Rule,
    filters: Filters,
    gain: Tensor | None = None,
    eps: float = EPS,
) -> Tensor:
    """The weight that the layer computes with; `weight` itself is not changed.

    Computed in float32 at least and returned in the weight's own dtype and shape. eps is a
    threshold and no summand, so the result is exactly of unit norm or std; a filter that measures
    no more than eps has no direction to speak of and is not divided at all, so that its value and
    its gradient stay those of an ordinary layer.
    """
    wide = centred(weight, rule, filters)
    size = divisor(wide, rule, filters, eps)
    wide = wide / size if gain is None else wide * (gain.view_as(size) / size)
    return wide.to(weight.dtype).reshape(weight.shape)


def centred(weight: Tensor, rule: Rule, filters: Filters) -> Tensor:
    """The weight seen filter by filter, in float32 at least, without means if the rule says so."""
    wide = filters.view(weight).to(at_least_float32(weight.dtype))
    return wide - filters.means(wide) if rule.centred else wide


def divisor(wide: Tensor, rule: Rule, filters: Filters, eps: float = EPS) -> Tensor:
    """What divides each unit, with the reduced axes kept; 1 where its measure is eps or less.

    The std is taken as a length, sqrt(||W - mean||^2 / n) as eq. 25 writes it: the gradient of a
    length at zero is 0, that of torch.std is NaN.
    """
    length = filters.norms(wide)
    entries = wide.numel() // length.numel()
    size = length / entries**0.5 if rule.measure == "std" else length
    return torch.where(size > eps, size, torch.ones_like(size))
