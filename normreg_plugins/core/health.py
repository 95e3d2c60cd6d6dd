"""Notice filters that broke, without making the host wait for the device."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from normreg_plugins.core.errors import NonFiniteWeightWarning
from normreg_plugins.core.filters import local
from normreg_plugins.core.targets import Rescaled, Target


class Health:
    """Looks at the measures a method took anyway. On a device the answer is fetched when the next look comes."""

    def __init__(self) -> None:
        self._pending: tuple[Tensor, torch.cuda.Event | None, list[Target]] | None = None
        self._told: set[str] = set()

    @torch.no_grad()
    def look(self, rescaled: Sequence[Rescaled]) -> None:
        """Warn of targets whose measures are not finite, by name and once each."""
        if self._pending is not None:
            self._answer(*self._pending)
        finite = torch.cat([local(r.measure).flatten() for r in rescaled]).isfinite().all()
        on_host = finite.to("cpu", non_blocking=True)
        event = None
        if finite.is_cuda:
            event = torch.cuda.Event()
            event.record()
        self._pending = (on_host, event, [r.target for r in rescaled])
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
            listed = ", ".join(f"{name} ({n} filters)" for name, n in new.items())
            warnings.warn(
                f"NaN or Inf in {listed}. These filters are left as they are; the others go on.",
                NonFiniteWeightWarning,
                stacklevel=2,
            )

    @staticmethod
    @torch.no_grad()
    def count(targets: Sequence[Target], which: Callable[[Tensor], Tensor]) -> dict[str, int]:
        """How many filters of each target are so, where any are."""
        counts = {t.name: int(which(t.whole.norms(t.weight)).sum()) for t in targets}
        return {name: n for name, n in counts.items() if n}
