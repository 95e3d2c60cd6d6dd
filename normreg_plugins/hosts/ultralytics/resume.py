"""A run goes on with the method it began with, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core import Method
from normreg_plugins.core.clock import STATE_KEY
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.ultralytics.groups import group_sizes

WAY_OUT = (
    "resume with the method, select and decay_norms that it began with, or begin a new run with its weights: "
    "model=CHECKPOINT and no resume"
)


class ResumeError(NormRegError):
    """A checkpoint that was not written by the same kind of run."""


def settings_of(method: Method, select: str | Iterable[str] | None, decay_norms: bool) -> dict[str, Any]:
    """All that has to stay the same, as plain values."""
    names = select if select is None or isinstance(select, str) else [*select]
    return {"method": type(method).__name__, "select": names, "decay_norms": decay_norms, **asdict(method)}


def write_settings(optimizer: Optimizer, settings: dict[str, Any]) -> None:
    """Into all that is saved of the optimizer: beside its state, where torch passes it over on loading."""
    optimizer.register_state_dict_post_hook(lambda _, state_dict: state_dict.update({STATE_KEY: settings}))


def refuse_strange(saved: dict[str, Any], optimizer: Optimizer, settings: dict[str, Any], checkpoint: object) -> None:
    """Raise if the saved state of an optimizer is of a run with other settings.

    Options that only one of the two knows (another version of this package wrote it) are not compared.
    """
    theirs = saved.get(STATE_KEY)
    if theirs is None:
        raise ResumeError(f"{checkpoint} was trained without a method, now it is {settings['method']}: {WAY_OUT}")
    changed = [key for key in settings if key in theirs and theirs[key] != settings[key]]
    if changed:
        before, now = ({key: each[key] for key in changed} for each in (theirs, settings))
        raise ResumeError(f"{checkpoint} was trained with {before}, now it is {now}: {WAY_OUT}")
    sizes, ours = group_sizes(saved), group_sizes(optimizer.state_dict())
    if sizes != ours:
        raise ResumeError(
            f"{checkpoint} has optimizer groups of {sizes} parameters, this run makes groups of {ours}: was freeze "
            f"changed, or the model? {WAY_OUT}"
        )
