"""Count the parameter updates that happened. Every checkpoint of the optimizer carries the count: see saved_entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core.training.saved_entry import STATE_KEY
from normreg_plugins.core.training.skipped_steps import UnreadFlags, skip_flag


class UpdateCount:
    """The number of updates an optimizer has made, kept in its own state.

    Accumulation and skipped steps do not count. Flags of steps that may have been skipped stay unread until the count
    decides something.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._unread = UnreadFlags()
        # Some optimizers assume on loading that the first entry of their state is a parameter's. So our entry is made
        # after the first step, when theirs are there.
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

    def tick(self) -> None:
        """The optimizer was called."""
        flag = skip_flag(self._optimizer)
        if flag is None:
            self._settle(1)
        else:
            self._unread.add(flag)

    def due(self, interval: int, phase: Callable[[int], bool]) -> bool:
        """Whether the step just made was an update whose number is a multiple of `interval` and lies in the phase."""

        def on(update: int) -> bool:
            return update % interval == 0 and phase(update)

        if not self._unread:
            return on(self._settled)
        if not any(on(self._settled + more) for more in range(1, len(self._unread) + 1)):
            return False
        skipped = self._unread.last_was_skipped()
        self._settle()
        return not skipped and on(self._settled)

    def forget(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _settle(self, more: int = 0) -> None:
        """Add these updates and those of the unread flags."""
        more += self._unread.take()
        if more:
            state: Any = self._optimizer.state
            state[STATE_KEY] = {**state.get(STATE_KEY, {}), "updates": self._settled + more}
