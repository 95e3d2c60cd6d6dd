"""When a method acts."""

from __future__ import annotations

import math
from collections.abc import Callable

from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.methods import Method

PerEpoch = float | Callable[[], float] | None
"""Updates per epoch, or how to learn it when the first update comes."""


class Phase:
    """From which update to which a method acts. How long an epoch is may be known only once training runs."""

    def __init__(self, method: Method, updates_per_epoch: PerEpoch) -> None:
        self._begin, self._end, self._unit = method.phase
        self._per_epoch = updates_per_epoch
        self.always = self._begin == 0 and self._end == math.inf
        if self._unit == "epoch" and not updates_per_epoch:
            raise AttachError(
                f"{method!r} gives its phase in epochs: pass updates_per_epoch (got {updates_per_epoch!r})"
            )

    def holds(self, update: int) -> bool:
        if self._unit == "epoch" and callable(self._per_epoch):
            self._per_epoch = self._per_epoch()
        length = self._per_epoch if self._unit == "epoch" else 1
        return self._begin * length < update <= self._end * length  # type: ignore[operator]
