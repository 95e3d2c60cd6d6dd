"""A run is resumed with the method it was trained with, or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core import Method
from normreg_plugins.core.clock import STATE_KEY
from normreg_plugins.core.errors import NormRegError

WAY_OUT = (
    "resume with the same regularizer, or begin a new run from these weights: load_from=CHECKPOINT and resume=False"
)


def guard_resume(optimizer: Optimizer, method: Method, select: Any) -> None:
    """Let the optimizer's checkpoints say what they were trained with, and refuse to load those that say otherwise.

    Options that only one of the two knows (another version of this package wrote it) are not compared.
    """
    ours = {"method": type(method).__name__, "select": _plain(select), **asdict(method)}

    def write(_: Optimizer, state_dict: dict[str, Any]) -> None:
        state_dict[STATE_KEY] = ours

    def check(_: Optimizer, state_dict: dict[str, Any]) -> None:
        theirs = state_dict.get(STATE_KEY)
        if theirs is None and state_dict["state"]:
            raise NormRegError(
                f"this run was trained without a method and cannot be resumed with {method!r}: {WAY_OUT}"
            )
        changed = [key for key in ours if theirs and key in theirs and theirs[key] != ours[key]]
        if changed:
            before, now = ({key: each[key] for key in changed} for each in (theirs or {}, ours))
            raise NormRegError(f"this run was trained with {before} and cannot be resumed with {now}: {WAY_OUT}")

    optimizer.register_state_dict_post_hook(write)
    optimizer.register_load_state_dict_pre_hook(check)


def _plain(select: Any) -> Any:
    return select if select is None or isinstance(select, str) else [str(pattern) for pattern in select]
