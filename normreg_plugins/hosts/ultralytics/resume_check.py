"""A run is resumed with the method it began with, or not at all."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.training import STATE_KEY
from normreg_plugins.hosts.method_settings import what_changed
from normreg_plugins.hosts.ultralytics.parameter_groups import group_sizes

WAY_OUT = (
    "resume with the method that it began with, or begin a new run with its weights: model=CHECKPOINT and no resume"
)


class ResumeError(NormRegError):
    """A checkpoint that was not written by the same kind of run."""


def refuse_strange(saved: dict[str, Any], optimizer: Optimizer, settings: dict[str, Any], checkpoint: object) -> None:
    """Raise if the saved state of an optimizer is of a run with other settings."""
    theirs = saved.get(STATE_KEY)
    if theirs is None:
        raise ResumeError(f"{checkpoint} was trained without a method, now it is {settings['method']}: {WAY_OUT}")
    before, now = what_changed(theirs, settings)
    if before:
        raise ResumeError(f"{checkpoint} was trained with {before}, now it is {now}: {WAY_OUT}")
    sizes, ours = group_sizes(saved), group_sizes(optimizer.state_dict())
    if sizes != ours:
        raise ResumeError(
            f"{checkpoint} has optimizer groups of {sizes} parameters, this run makes groups of {ours}: was freeze "
            f"changed, or the model? {WAY_OUT}"
        )
