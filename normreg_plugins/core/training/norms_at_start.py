"""The filter norms that training begins with, before a method changes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from normreg_plugins.core.methods import Target
from normreg_plugins.core.model import local


class NormsAtStart:
    """Measures filter norms before a method acts for the first time.

    A method may act when it is attached and again before the first forward, because weights may be loaded in between.
    Only weights that changed in between are measured again.
    """

    def __init__(self) -> None:
        self.norms: dict[str, Tensor] = {}
        self._after: dict[str, Tensor] = {}

    def before(self, targets: Sequence[Target]) -> None:
        for target in _real(targets):
            found = _norms(target)
            seen = self._after.get(target.name)
            if seen is None or not torch.equal(found, seen):
                self.norms[target.name] = found

    def after(self, targets: Sequence[Target]) -> None:
        self._after = {target.name: _norms(target) for target in _real(targets)}


def _real(targets: Sequence[Target]) -> list[Target]:
    """Without weights on torch's meta device, which have no values."""
    return [target for target in targets if not target.weight.is_meta]


@torch.no_grad()
def _norms(target: Target) -> Tensor:
    """Measured once and kept on the host, so that no memory of a GPU is held for the rest of the run."""
    return local(target.filters.norms(target.weight)).flatten().cpu()
