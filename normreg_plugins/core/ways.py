"""Ways to scale a layer under which a forward is to stay the same, and the factors it is scaled by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice, product
from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.parts import Layer
from normreg_plugins.core.reads import NormRead
from normreg_plugins.core.runs import NormCall
from normreg_plugins.core.structure import Claim
from normreg_plugins.core.verdict import Kind

DRAWS = 3
"""How many draws of factors layers that are scaled together must pass."""
CODE = (1.0, 0.5, 0.25, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Factors that serve as digits; a norm that no layer feeds directly reads all ones, which is no layer's number."""
WHOLE = (Kind.PER_GROUP, Kind.PER_LAYER)


class Way(NamedTuple):
    """How one layer is scaled, and the verdict that it earns if the forward stays the same."""

    kind: Kind
    groups: int
    """Into how many runs of neighbouring filters, each with a factor of its own, the layer falls."""
    reads: tuple[NormRead, ...] = ()
    """The frozen norms whose statistics are scaled along."""
    bias: bool = False
    """Whether its bias is scaled along."""

    def factors(self, layer: Layer, draw: int) -> Tensor:
        """2, 4, 8 or 16 each, not all alike where there are several. All above 1, so that no product of them is 1."""
        generator = torch.Generator().manual_seed(layer.order * DRAWS + draw)
        powers = torch.randint(1, 5, (self.groups,), generator=generator)
        if self.groups > 1:
            powers[0], powers[-1] = 1, 4
        return (2.0**powers).to(layer.weight.device).repeat_interleave(layer.channels // self.groups)

    @property
    def reason(self) -> str:
        return {
            Kind.INVARIANT: "scaled filter by filter, the forward stays the same",
            Kind.COMPENSATED: "scaled with its frozen statistics, the forward stays",
            Kind.PER_GROUP: f"scaled alike in {self.groups} groups, the forward stays the same",
            Kind.PER_LAYER: "scaled as a whole, the forward stays the same",
        }[self.kind]


def promised(claim: Claim) -> Way | None:
    """How a layer may be scaled if the claim on it is true."""
    if claim.kind in (Kind.FREE, Kind.UNSAFE):
        return None
    kind, groups = claim.kind, claim.layer.channels
    if kind in WHOLE:
        runs = {read.groups for read in claim.reads}
        kind, groups = (kind, runs.pop()) if kind is Kind.PER_GROUP and len(runs) == 1 else (Kind.PER_LAYER, 1)
    frozen = tuple(read for read in claim.reads if read.kind is Kind.COMPENSATED)
    return Way(kind, groups, frozen, bias=any(read.kind in WHOLE for read in claim.reads))


def codes(number: int) -> list[tuple[float, ...]]:
    """As many different rows of digits, all as short as can be and none of them all ones."""
    digits = next(digits for digits in count(1) if len(CODE) ** digits > number)
    return list(islice(product(CODE, repeat=digits), 1, number + 1))


def codes_seen(then: NormCall, now: Sequence[NormCall]) -> set[tuple[float, ...]]:
    """How much each channel that enters a norm was scaled in each run, where that is by powers of two."""
    ratios = torch.stack([call.spreads / then.spreads for call in now], dim=-1).log2().nan_to_num(0, 0, 0)
    powers = ratios.round()
    clear = ((ratios - powers).abs() < 0.1).all(-1)
    return {tuple(row) for row in powers[clear].exp2().tolist()}


def ratio_seen(now: Sequence[NormCall], then: Sequence[NormCall]) -> Tensor | None:
    """How much each channel that enters a norm was scaled, if all calls of the norm agree."""
    ratios = [a.spreads / b.spreads for a, b in zip(now, then)]
    return ratios[0] if ratios and all(alike(ratio, ratios[0]) for ratio in ratios) else None


def alike(ratio: Tensor, factor: Tensor) -> bool:
    return ratio.shape == factor.shape and torch.allclose(ratio.nan_to_num(1.0), factor.to(ratio), rtol=1e-2)
