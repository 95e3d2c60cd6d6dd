"""The settings of a method, as a checkpoint of the optimizer carries them: a run is resumed with the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core import Method
from normreg_plugins.core.training import STATE_KEY


def settings_of(method: Method, **more: Any) -> dict[str, Any]:
    """All settings that must stay the same when a run is resumed, as plain values."""
    return {"method": type(method).__name__, **more, **asdict(method)}


def write_settings(optimizer: Optimizer, settings: Mapping[str, Any]) -> None:
    """Save the settings beside the optimizer's state, in a place that torch passes over on loading."""
    optimizer.register_state_dict_post_hook(lambda _, state_dict: state_dict.update({STATE_KEY: dict(settings)}))


def what_changed(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings a run began with and those it has now, where they differ.

    Settings that only one of the two knows were written by another version of this package. They are not compared.
    """
    changed = [key for key in ours if key in theirs and _plain(theirs[key]) != _plain(ours[key])]
    return {key: theirs[key] for key in changed}, {key: ours[key] for key in changed}


def _plain(value: Any) -> Any:
    """A list in place of a tuple, because a checkpoint may have either."""
    return list(value) if isinstance(value, tuple) else value
