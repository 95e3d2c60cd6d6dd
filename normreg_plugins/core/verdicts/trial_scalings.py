"""How a proof scales a layer, and how the scale is recognised at the norm layers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, islice, product
from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.model import Layer
from normreg_plugins.core.verdicts.norm_reader import NormReader
from normreg_plugins.core.verdicts.proof_forward import NormCall
from normreg_plugins.core.verdicts.verdict import Kind
from normreg_plugins.core.verdicts.weight_report import WeightReport

DRAWS = 3
"""Layers that are scaled together must pass this many draws of factors."""
CODE = (1.0, 0.5, 0.25, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""The digits of the codes that layers are scaled by. The code of all ones is not used: it means that no layer feeds a
norm layer directly."""
WHOLE = (Kind.PER_GROUP, Kind.PER_LAYER)


class Scaling(NamedTuple):
    """How one layer is scaled, and the kind it earns if the forward stays the same."""

    kind: Kind
    groups: int
    """The number of runs of neighbouring filters; each run has a factor of its own."""
    readers: tuple[NormReader, ...] = ()
    """The frozen norm layers whose statistics are scaled with it."""
    bias: bool = False
    """Whether its bias is scaled with it."""

    def factors(self, layer: Layer, draw: int) -> Tensor:
        """One of 2, 4, 8 and 16 for each run, not all alike. None is below 1, so that no product of them is 1."""
        generator = torch.Generator().manual_seed(layer.order * DRAWS + draw)
        powers = torch.randint(1, 5, (self.groups,), generator=generator)
        if self.groups > 1:
            powers[0], powers[-1] = 1, 4
        return (2.0**powers).to(layer.weight.device).repeat_interleave(layer.channels // self.groups)

    @property
    def reason(self) -> str:
        return {
            Kind.INVARIANT: "scaled filter by filter, the forward stays the same",
            Kind.COMPENSATED: "scaled with its frozen statistics, the forward stays the same",
            Kind.PER_GROUP: f"scaled alike in each of {self.groups} groups, the forward stays the same",
            Kind.PER_LAYER: "all filters scaled alike, the forward stays the same",
        }[self.kind]


def promised_by(report: WeightReport) -> Scaling | None:
    """How a layer may be scaled if the report is true."""
    if report.kind in (Kind.FREE, Kind.UNSAFE):
        return None
    kind, groups = report.kind, report.layer.channels
    if kind in WHOLE:
        runs = {reader.groups for reader in report.readers}
        kind, groups = (kind, runs.pop()) if kind is Kind.PER_GROUP and len(runs) == 1 else (Kind.PER_LAYER, 1)
    frozen = tuple(reader for reader in report.readers if reader.kind is Kind.COMPENSATED)
    return Scaling(kind, groups, frozen, bias=any(reader.kind in WHOLE for reader in report.readers))


def codes(number: int) -> list[tuple[float, ...]]:
    """This many different codes, as short as possible. None has ones only."""
    digits = next(digits for digits in count(1) if len(CODE) ** digits > number)
    return list(islice(product(CODE, repeat=digits), 1, number + 1))


def codes_seen(then: NormCall, now: Sequence[NormCall]) -> set[tuple[float, ...]]:
    """The codes of the channels that enter a norm layer: by which powers of two each run scaled them."""
    ratios = torch.stack([call.spreads / then.spreads for call in now], dim=-1).log2().nan_to_num(0, 0, 0)
    powers = ratios.round()
    clear = ((ratios - powers).abs() < 0.1).all(-1)
    return {tuple(row) for row in powers[clear].exp2().tolist()}


def ratio_seen(now: Sequence[NormCall], then: Sequence[NormCall]) -> Tensor | None:
    """By how much each channel that enters a norm layer was scaled, if all its calls agree."""
    ratios = [a.spreads / b.spreads for a, b in zip(now, then)]
    return ratios[0] if ratios and all(alike(ratio, ratios[0]) for ratio in ratios) else None


def alike(ratio: Tensor, factor: Tensor) -> bool:
    return ratio.shape == factor.shape and torch.allclose(ratio.nan_to_num(1.0), factor.to(ratio), rtol=1e-2)
