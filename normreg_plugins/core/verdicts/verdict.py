"""The verdict on each weight: may it be rescaled, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Kind(str, Enum):
    """What a rescale of one filter does to the function that is trained."""

    INVARIANT = "invariant"
    """Nothing changes: every training path leads through a norm layer on batch statistics."""
    COMPENSATED = "compensated"
    """Nothing changes if the frozen statistics of its norm layer are rescaled with it."""
    PER_GROUP = "per_group"
    """Nothing changes if all filters of a group (and their biases) are scaled alike."""
    PER_LAYER = "per_layer"
    """Nothing changes if all filters of the layer (and their biases) are scaled alike."""
    FREE = "free"
    """The function changes: no norm layer follows."""
    UNSAFE = "unsafe"
    """The function may change: a norm layer follows, but the weight is shared or something else sees its scale."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Verdict:
    """One weight: its name in `named_parameters()`, its kind, the norm layers that read it, and the reason."""

    name: str
    kind: Kind
    norms: tuple[str, ...]
    reason: str


class Verdicts(tuple[Verdict, ...]):
    """A sequence of verdicts that prints as a table."""

    __slots__ = ()

    def __new__(cls, verdicts: Iterable[Verdict] = ()) -> Verdicts:
        return super().__new__(cls, tuple(verdicts))

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(v.kind.value for v in self)
        return {kind.value: found[kind.value] for kind in Kind if found[kind.value]}

    def of(self, *kinds: str) -> Verdicts:
        return Verdicts(v for v in self if v.kind in kinds)

    def summary(self) -> str:
        """One line: how many weights of each kind."""
        counts = ", ".join(f"{n} {kind}" for kind, n in self.counts.items())
        return f"{len(self)} conv/linear weights: {counts or 'none'}"

    def __str__(self) -> str:
        rows = [("weight", "verdict", "norm layers", "reason"), *map(_row, self)]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ("  ".join([*(c.ljust(w) for c, w in zip(row, widths)), row[3]]).rstrip() for row in rows)
        return "\n".join([*lines, self.summary()])


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    norms = ", ".join(verdict.norms[:2]) + (f" +{len(verdict.norms) - 2}" if len(verdict.norms) > 2 else "")
    return verdict.name, verdict.kind.value, norms, verdict.reason
