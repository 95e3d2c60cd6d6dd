"""Notice filters with NaN or Inf, without making the CPU wait for the GPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from normreg_plugins.core.errors import NonFiniteWeightWarning
from normreg_plugins.core.methods import Scaled, Target
from normreg_plugins.core.model import local

NAMED = 5
"""So many weights are named in one warning."""


class BrokenFilters:
    """Checks the sizes that a method measured anyway. On a GPU the answer of one check is read at the next."""

    def __init__(self) -> None:
        self._pending: tuple[Tensor, torch.cuda.Event | None, list[Target]] | None = None
        self._told: set[str] = set()

    @torch.no_grad()
    def look(self, scaled: Sequence[Scaled]) -> None:
        """Warn of targets whose sizes are not finite, by name and once each."""
        if self._pending is not None:
            self._answer(*self._pending)
        finite = torch.cat([local(s.size).flatten() for s in scaled]).isfinite().all()
        on_host = finite.to("cpu", non_blocking=True)
        event = None
        if finite.is_cuda:
            event = torch.cuda.Event()
            event.record()
        self._pending = (on_host, event, [s.target for s in scaled])
        self._answer(*self._pending)

    def _answer(self, finite: Tensor, event: torch.cuda.Event | None, targets: list[Target]) -> None:
        if event is not None and not event.query():
            return
        self._pending = None
        if finite.tolist():
            return
        broken = self.count(targets, lambda norms: ~norms.isfinite())
        new = {name: n for name, n in broken.items() if name not in self._told}
        self._told |= set(new)
        if new:
            listed = ", ".join(f"{name} ({n} filters)" for name, n in list(new.items())[:NAMED])
            others = f" and {len(new) - NAMED} more weights" if len(new) > NAMED else ""
            warnings.warn(
                f"NaN or Inf in {listed}{others}. These filters are left as they are; the others go on.",
                NonFiniteWeightWarning,
                stacklevel=2,
            )

    @staticmethod
    @torch.no_grad()
    def count(targets: Sequence[Target], which: Callable[[Tensor], Tensor]) -> dict[str, int]:
        """By target, how many filters meet a condition on their norms; targets without any are left out."""
        counts = {t.name: int(which(t.filters.norms(t.weight)).sum()) for t in targets}
        return {name: n for name, n in counts.items() if n}
