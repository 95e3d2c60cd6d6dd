"""Which filters are zero, and which contain NaN or Inf."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
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
        self._pending: list[_Answer] = []
        self._warned: set[str] = set()

    @torch.no_grad()
    def check(self, scaled: Sequence[Scaled]) -> None:
        """Warns of targets whose sizes are not finite, by name and once each."""
        self._report_pending()
        by_device: dict[torch.device, list[Scaled]] = defaultdict(list)
        for each in scaled:
            by_device[each.size.device].append(each)
        self._pending = [_Answer.of(each) for each in by_device.values()]
        self._report_pending()

    def _report_pending(self) -> None:
        pending, self._pending = self._pending, []
        for answer in pending:
            if not answer.has_arrived():
                self._pending.append(answer)
            elif not math.isfinite(answer.total):
                self._warn(answer.targets)

    def _warn(self, targets: Sequence[Target]) -> None:
        broken = count_filters(targets, lambda norms: ~norms.isfinite())
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
    """The sum of all sizes on one device, on its way to the host."""

    total: Tensor
    from_gpu: bool
    copied: torch.cuda.Event | None
    targets: list[Target]

    @classmethod
    def of(cls, scaled: Sequence[Scaled]) -> _Answer:
        sizes = [each.size.to_local() if hasattr(each.size, "to_local") else each.size for each in scaled]
        total = torch.cat([size.flatten() for size in sizes]).sum()  # NaN or Inf if any size is
        on_host = total.to("cpu", non_blocking=True)
        copied = None
        if total.is_cuda and torch.cuda.is_initialized():
            copied = torch.cuda.Event()
            copied.record(torch.cuda.current_stream(total.device))
        return cls(on_host, total.is_cuda, copied, [each.target for each in scaled])

    def has_arrived(self) -> bool:
        return not self.from_gpu or (self.copied is not None and self.copied.query())
