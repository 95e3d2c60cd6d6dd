"""A run is resumed with the method it was trained with, or not at all."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core import Method
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.training import STATE_KEY
from normreg_plugins.hosts.method_settings import settings_of, what_changed, write_settings

WAY_OUT = (
    "resume with the same regularizer, or begin a new run from these weights: load_from=CHECKPOINT and resume=False"
)


def guard_resume(optimizer: Optimizer, method: Method) -> None:
    """Let the optimizer's checkpoints say what they were trained with, and refuse to load those that say otherwise."""
    ours = settings_of(method)

    def check(_: Optimizer, state_dict: dict[str, Any]) -> None:
        theirs = state_dict.get(STATE_KEY)
        if theirs is None and state_dict["state"]:
            raise NormRegError(
                f"this run was trained without a method and cannot be resumed with {method!r}: {WAY_OUT}"
            )
        before, now = what_changed(theirs or {}, ours)
        if before:
            raise NormRegError(f"this run was trained with {before} and cannot be resumed with {now}: {WAY_OUT}")

    write_settings(optimizer, ours)
    optimizer.register_load_state_dict_pre_hook(check)
