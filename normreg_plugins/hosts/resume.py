"""The settings of a method, saved with the optimizer's state so that a resumed run can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from torch.optim import Optimizer

from normreg_plugins.core import Method
from normreg_plugins.core.clock import STATE_KEY


def settings_of(method: Method, select: str | Iterable[str] | None, **more: Any) -> dict[str, Any]:
    """All of a method that has to stay the same when a run is resumed, as plain values."""
    names = select if select is None or isinstance(select, str) else [*select]
    return {"method": type(method).__name__, "select": names, **more, **asdict(method)}


def write_settings(optimizer: Optimizer, settings: Mapping[str, Any]) -> None:
    """Into all that is saved of the optimizer: beside its state, where torch passes it over on loading."""
    optimizer.register_state_dict_post_hook(lambda _, state_dict: state_dict.update({STATE_KEY: dict(settings)}))


def what_changed(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run began with and what it has now, where these differ.

    Options that only one of the two knows (another version of this package wrote it) are not compared.
    """
    changed = [key for key in ours if key in theirs and theirs[key] != ours[key]]
    return {key: theirs[key] for key in changed}, {key: ours[key] for key in changed}
