"""What is worth knowing of filters: how they are when training begins, and which are zero, NaN or infinite."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from normreg_plugins.core.errors import NonFiniteWeightWarning
from normreg_plugins.core.methods import Method, Scaled, Target
from normreg_plugins.core.model import at_least_float32, local, safe_factors
from normreg_plugins.core.verdicts import Kind

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


class FiltersAtStart:
    """Filters before a method acts for the first time.

    A method may act when it is attached, and again before the first forward, because weights may be loaded in between.
    Only weights that changed in between are measured again.
    """

    def __init__(self) -> None:
        self.norms: dict[str, Tensor] = {}
        self.changes: dict[str, Tensor] = {}
        """How far the method changes each filter when it first acts, where the network sees that."""
        self._after: dict[str, Tensor] = {}

    def measure_before(self, targets: Sequence[Target], method: Method) -> None:
        for target in _with_values(targets):
            seen = self._after.get(target.name)
            if seen is None or not torch.equal(_fingerprint(target), seen):
                self.norms[target.name] = _norms(target)
                if not method.keeps_directions or _scale_is_seen(target):
                    self.changes[target.name] = _change(target, method)

    def measure_after(self, targets: Sequence[Target]) -> None:
        self._after = {target.name: _fingerprint(target) for target in _with_values(targets)}


def _with_values(targets: Sequence[Target]) -> list[Target]:
    """Without weights on torch's meta device."""
    return [target for target in targets if not target.weight.is_meta]


@torch.no_grad()
def _norms(target: Target) -> Tensor:
    return local(target.filters.norms(target.weight)).flatten().cpu()  # on the host, to free the GPU's memory


def _fingerprint(target: Target) -> Tensor:
    """The sum tells weights apart that were loaded with the norms that the method had given to others."""
    total = local(target.weight.detach()).sum().cpu()
    return torch.cat([_norms(target), total.to(at_least_float32(total.dtype)).view(1)])


def _scale_is_seen(target: Target) -> bool:
    return target.report.kind in (Kind.FREE, Kind.UNSAFE)


@torch.no_grad()
def _change(target: Target, method: Method) -> Tensor:
    """||w' - w|| / ||w|| for each filter; of directions, if its scale is not seen. w' comes from a try on a copy."""
    weight = target.weight.detach()
    layer = replace(target.layer, weight=nn.Parameter(weight.clone()))
    copy = replace(target, report=replace(target.report, layer=layer, readers=()), state={**target.state}, scratch={})
    method.start([copy])
    method.after_update([copy], lambda key="lr": [{"lr": 0.0}.get(key)])
    before = target.filters.norms(weight)
    after = before if _scale_is_seen(target) else target.filters.norms(layer.weight)
    new, old = target.filters.view(layer.weight), target.filters.view(weight)
    moved = new * safe_factors(1.0, after) - old * safe_factors(1.0, before)
    return local(torch.linalg.vector_norm(moved, dim=target.filters.dims)).flatten().cpu()
