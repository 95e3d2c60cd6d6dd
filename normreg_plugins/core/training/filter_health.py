"""Which filters are zero, and which contain NaN or Inf."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from normreg_plugins.core.errors import NonFiniteWeightWarning
from normreg_plugins.core.methods import Scaled, Target

NAMED = 5
"""At most this many weights are named in one warning."""


@torch.no_grad()
def count_filters(targets: Sequence[Target], which: Callable[[Tensor], Tensor]) -> dict[str, int]:
    """For each target, how many filters meet a condition on their norms; targets without any are left out."""
    counts = {t.name: int(which(t.filters.norms(t.weight)).sum()) for t in targets}
    return {name: n for name, n in counts.items() if n}


class BrokenFilters:
    """Warns of filters with NaN or Inf, from sizes that a method measured anyway.

    On a GPU no update waits for the answer: it is read at the next check at which it has arrived.
    """

    def __init__(self) -> None:
        self._pending: _Answer | None = None
        self._warned: set[str] = set()

    @torch.no_grad()
    def check(self, scaled: Sequence[Scaled]) -> None:
        """Warns of targets whose sizes are not finite, by name and once each."""
        if not scaled:
            return
        self._report_pending()
        sizes = [each.size.to_local() if hasattr(each.size, "to_local") else each.size for each in scaled]
        total = torch.cat([size.flatten() for size in sizes]).sum()  # NaN or Inf if any size is
        self._pending = _Answer.of(total, [each.target for each in scaled])
        self._report_pending()

    def _report_pending(self) -> None:
        answer = self._pending
        if answer is None or not answer.has_arrived():
            return
        self._pending = None
        if math.isfinite(answer.total):
            return
        broken = count_filters(answer.targets, lambda norms: ~norms.isfinite())
        new = {name: n for name, n in broken.items() if name not in self._warned}
        self._warned |= set(new)
        if new:
            listed = ", ".join(f"{name} ({n} filters)" for name, n in list(new.items())[:NAMED])
            others = f" and {len(new) - NAMED} more weights" if len(new) > NAMED else ""
            warnings.warn(
                f"NaN or Inf in {listed}{others}. These filters are left as they are; all others are still controlled.",
                NonFiniteWeightWarning,
                stacklevel=2,
            )


class _Answer(NamedTuple):
    """The sum of all sizes, on its way from the GPU."""

    total: Tensor
    from_gpu: bool
    copied: torch.cuda.Event | None
    targets: list[Target]

    @classmethod
    def of(cls, total: Tensor, targets: list[Target]) -> _Answer:
        on_host = total.to("cpu", non_blocking=True)
        copied = None
        if total.is_cuda and torch.cuda.is_initialized():
            copied = torch.cuda.Event()
            copied.record()
        return cls(on_host, total.is_cuda, copied, targets)

    def has_arrived(self) -> bool:
        return not self.from_gpu or (self.copied is not None and self.copied.query())
