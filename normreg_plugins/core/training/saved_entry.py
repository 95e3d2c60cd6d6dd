"""How a checkpoint carries what a method must remember: as one entry of the first parameter group.

While training runs, the entry lies in the optimizer's state under a string key. There it survives copying and pickling.
torch's distributed checkpoints take every key of a saved state for a parameter's, but take all that a parameter group
holds along. So the hooks below move the entry into the group when a state is saved, and back when one is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core.options import is_count, require

STATE_KEY = "normreg_plugins"
MARK = True
"""Stands in the first group while training runs: torch asks a saved state only for what a group has already."""

Entry = dict[str, Any]


class SavedEntry:
    """Moves the entry between the optimizer's state and its `state_dict`.

    Args:
        more: gives what is saved beside the update count. A saved state always has it, also before the first update,
            because a distributed checkpoint is read into a state that has the same entries.
    """

    def __init__(self, optimizer: Optimizer, more: Callable[[], Entry]) -> None:
        self._optimizer, self._more = optimizer, more
        _into_state(optimizer.state, optimizer.param_groups)  # a state may have been loaded before
        self._handles = [
            optimizer.register_state_dict_post_hook(self._save),
            optimizer.register_load_state_dict_pre_hook(_load),
        ]

    def forget(self) -> None:
        """Leave a plain optimizer."""
        for handle in self._handles:
            handle.remove()
        self._optimizer.state.pop(STATE_KEY, None)  # type: ignore[call-overload]  # torch types the keys as tensors
        for group in self._optimizer.param_groups:
            group.pop(STATE_KEY, None)

    def _save(self, _: Optimizer, state_dict: dict[str, Any]) -> None:
        ours = state_dict["state"].pop(STATE_KEY, {"updates": 0})
        state_dict["param_groups"][0][STATE_KEY] = {**ours, **self._more()}


def _load(_: Optimizer, state_dict: dict[str, Any]) -> dict[str, Any]:
    """A copy of a saved state in which the entry is where the optimizer has it; earlier versions saved it there."""
    state = dict(state_dict["state"])
    groups = [dict(group) for group in state_dict["param_groups"]]
    _into_state(state, groups)
    return {**state_dict, "state": state, "param_groups": groups}


def _into_state(state: Any, groups: list[dict[str, Any]]) -> None:
    """Move the entry from the first group to the state. Before the first update there is none in the state."""
    entry = groups[0].get(STATE_KEY)
    groups[0][STATE_KEY] = MARK
    if entry is None or entry is MARK:
        entry = state.pop(STATE_KEY, {"updates": 0})
    updates = entry.get("updates") if isinstance(entry, dict) else None
    require(is_count(updates, 0), "updates", updates, "a whole number in the state that is loaded; is it damaged?")
    if updates:
        state[STATE_KEY] = dict(entry)
