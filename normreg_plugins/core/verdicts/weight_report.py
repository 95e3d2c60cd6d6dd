"""What was found of one layer: all that a verdict says, and what a method needs to act on it."""

from __future__ import annotations

from dataclasses import dataclass

from normreg_plugins.core.model import Layer, WeightNormalization
from normreg_plugins.core.verdicts.norm_reader import NormReader
from normreg_plugins.core.verdicts.verdict import Kind, Verdict


@dataclass(eq=False)
class WeightReport:
    """One layer, its kind, and the norm layers that read it."""

    layer: Layer
    kind: Kind
    reason: str
    readers: tuple[NormReader, ...] = ()
    """The norm layers that read its output."""
    feeds_scale_bias: bool = False
    weight_normalization: WeightNormalization | None = None
    """What its own forward divides the weight by, if it does."""
    watched: bool = False
    """Whether a watched forward called it."""
    repairable: bool = False
    """Whether a watched forward showed its norm layers, each with statistics of these filters alone."""

    @property
    def verdict(self) -> Verdict:
        names = dict.fromkeys(reader.name for reader in self.readers)
        return Verdict(self.layer.name, self.kind, tuple(names), self.reason)


def self_normalized(by: WeightNormalization) -> tuple[Kind, str]:
    """The kind of a layer whose own forward normalizes its weight (AWS paper, eq. 2-3), with the reason."""
    kind = Kind.PER_LAYER if by == "matrix" else Kind.INVARIANT
    what = "the whole weight" if by == "matrix" else "each filter"
    return kind, f"its own forward normalizes {what} ({by})"
