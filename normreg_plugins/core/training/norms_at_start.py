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
        for target in targets:
            found = _norms(target)
            seen = self._after.get(target.name)
            if seen is None or not torch.equal(found, seen):
                self.norms[target.name] = found

    def after(self, targets: Sequence[Target]) -> None:
        self._after = {target.name: _norms(target) for target in targets}


@torch.no_grad()
def _norms(target: Target) -> Tensor:
    """On the host, because the process may run on long after this was of use to anyone."""
    return local(target.filters.norms(target.weight)).flatten().cpu()
