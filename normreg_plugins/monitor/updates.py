"""Which update a monitor is at, without asking the device at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from normreg_plugins.core.training import handle_of, skip_flag

STATE_KEY = "normreg_plugins_monitor"


class UpdateCount:
    """Counts the updates of an optimizer, and only those that happened.

    A fused optimizer is called on an overflow too, and skips the update on the device; the gradient scaler then leaves
    a tensor `found_inf` on it. Those tensors are kept until the count could reach a report, and read with it.

    The count starts at what a checkpoint holds, else at the count of the method attached to the optimizer, else at
    `updates`. The optimizer's `state_dict` carries it beside `state`, so that the state itself stays as it is. torch's
    distributed checkpoints (DCP) leave it out. They read only what every checkpoint holds, so with an entry of the
    monitor in them, a run that was saved without one could not go on with one.
    """

    def __init__(self, optimizer: Optimizer, updates: int = 0) -> None:
        self._optimizer = optimizer
        self._settled = updates
        self._unread: list[Tensor] = []
        self._saved: int | None = None
        self._started = False
        self.memory: dict[str, float] = {}
        """Numbers that a checkpoint carries with the count."""
        self.since = updates
        """Updates made when this run began or was resumed."""
        self._hooks = [
            optimizer.register_state_dict_post_hook(self._save),
            optimizer.register_load_state_dict_pre_hook(self._load),
        ]

    @property
    def unread(self) -> Sequence[Tensor]:
        """For each call of the optimizer that may have been no update a number: above 0 if it was none."""
        return self._unread

    def start(self) -> None:
        """Find out where the count begins, at the first update after a start or a resume."""
        if self._started:
            return
        handle = handle_of(self._optimizer)
        if self._saved is not None:
            self._settled = self._saved
        elif handle is not None:
            self._settled = handle.updates
        self.since = self._settled
        self._started = True

    def suppose(self, updates: int) -> None:
        """So many updates were made before, unless a checkpoint or a method says otherwise at the first update."""
        if not self._started:
            self._settled = self.since = updates

    def may_reach(self, every: int) -> bool:
        """Whether the next call of the optimizer can be an update whose number is a multiple of `every`."""
        return any((self._settled + more) % every == 0 for more in range(1, len(self._unread) + 2))

    def tick(self) -> None:
        """The optimizer was called."""
        flag = skip_flag(self._optimizer)
        if flag is None:
            self._settled += 1
        else:
            self._unread.append(flag)

    def settle(self, flags: Sequence[float]) -> tuple[int, bool]:
        """Take in the values of `unread`: the count now, and whether the last call was an update."""
        self._settled += sum(flag == 0 for flag in flags)
        self._unread.clear()
        return self._settled, not flags or flags[-1] == 0

    def now(self) -> int:
        """The count now. It asks the device where updates may have been skipped."""
        self.start()
        if self._unread:
            self.settle(torch.stack([flag.reshape(()) for flag in self._unread]).tolist())
        return self._settled

    def forget(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _save(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        state_dict[STATE_KEY] = {"updates": self.now(), "memory": dict(self.memory)}

    def _load(self, optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
        saved = state_dict.get(STATE_KEY, {})
        self._saved = saved.get("updates")
        self.memory = dict(saved.get("memory", {}))
        self._unread.clear()
        self._started = False  # the method's own count is asked for later, when it has been loaded too
