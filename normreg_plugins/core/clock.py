"""Count parameter updates, and only those that happened. The count is all the state a method has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

STATE_KEY = "normreg_plugins"


class UpdateClock:
    """The number of updates an optimizer has made, kept in its own state so that every checkpoint carries it.

    An optimizer is not called when nothing is to be updated (accumulation) or when a gradient scaler met an overflow.
    A fused one is called on overflow all the same and skips inside; then the scaler leaves `found_inf` on it, a tensor.
    Reading it makes the host wait for the device, so such tensors are kept until the count could matter.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._unread: list[Tensor] = []
        # Optimizers read `state` by parameter; some assume on loading that its first entry is a parameter's. So the
        # entry is made after the first step, when theirs are there.
        self._handles = [
            optimizer.register_state_dict_pre_hook(lambda _: self._settle()),
            optimizer.register_load_state_dict_post_hook(lambda _: self._unread.clear()),
        ]

    @property
    def updates(self) -> int:
        self._settle()
        return self._settled

    @property
    def _settled(self) -> int:
        state: dict[Any, Any] = self._optimizer.state
        return int(state.get(STATE_KEY, {}).get("updates", 0))

    def skipped(self) -> Tensor | None:
        """Above 0 where the step now running skips inside; None where that cannot be."""
        return getattr(self._optimizer, "found_inf", None)

    def tick(self) -> None:
        """The optimizer was called."""
        found_inf = self.skipped()
        if found_inf is None:
            self._settle(1)
        else:
            self._unread.append(found_inf)

    def due(self, interval: int, phase: Callable[[int], bool]) -> bool:
        """Whether the step just made was an update, whose number is a multiple of `interval` and lies in the phase."""

        def on(update: int) -> bool:
            return update % interval == 0 and phase(update)

        if not self._unread:
            return on(self._settled)
        if not any(on(self._settled + more) for more in range(1, len(self._unread) + 1)):
            return False
        skipped = bool(self._unread[-1])
        self._settle()
        return not skipped and on(self._settled)

    def forget(self) -> None:
        """Leave a plain optimizer."""
        for handle in self._handles:
            handle.remove()
        self._optimizer.state.pop(STATE_KEY, None)  # type: ignore[call-overload]

    def _settle(self, more: int = 0) -> None:
        if self._unread:
            more += int((torch.stack([t.reshape(()) for t in self._unread]) == 0).sum())
            self._unread.clear()
        if more:
            state: Any = self._optimizer.state
            state[STATE_KEY] = {"updates": self._settled + more}
