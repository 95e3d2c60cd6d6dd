"""From which update to which a method acts."""

from __future__ import annotations

from collections.abc import Callable

from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.methods import Method

PerEpoch = float | Callable[[], float] | None
"""Updates per epoch, or a callable that is asked when the first update comes."""


class Phase:
    """The updates in which a method acts. How many updates an epoch has may be known only once training runs."""

    def __init__(self, method: Method, updates_per_epoch: PerEpoch) -> None:
        self._begin, self._end = method.begin, method.end
        self._per_epoch = updates_per_epoch if method.unit == "epoch" else 1
        self.always = self._begin == 0 and self._end is None
        if not self._per_epoch:
            raise AttachError(
                f"{method!r} gives its phase in epochs: pass updates_per_epoch (got {updates_per_epoch!r})"
            )

    def holds(self, update: int) -> bool:
        if callable(self._per_epoch):
            self._per_epoch = self._per_epoch()
        length = self._per_epoch or 1
        return self._begin * length < update and (self._end is None or update <= self._end * length)
