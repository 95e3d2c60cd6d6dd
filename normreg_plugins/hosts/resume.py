"""What a checkpoint says of how it was trained, read without running anything that is in it."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
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


def trained_with_method(checkpoint: Path) -> bool:
    """Whether the state of an optimizer in it carries a method's update count."""
    return STATE_KEY in _strings(checkpoint)


def names_a_method(cfg: Mapping[str, Any]) -> bool:
    """Whether an mm config trains with a method, by either of the two ways."""
    hooks = cfg.get("custom_hooks") or []
    return "regularizer" in (cfg.get("optim_wrapper") or {}) or any("regularizer" in hook for hook in hooks)


def to_resume(cfg: Mapping[str, Any]) -> str | None:
    """The checkpoint a run goes on from: the one it names, or the last in its work dir."""
    if not cfg.get("resume"):
        return None
    last = Path(cfg["work_dir"]) / "last_checkpoint"
    return cfg.get("load_from") or (last.read_text().strip() if last.is_file() else None)


def _strings(checkpoint: Path) -> Iterator[str]:
    """Every string its pickle holds. A checkpoint in torch's old format, which is no zip, tells nothing."""
    if not zipfile.is_zipfile(checkpoint):
        return
    with zipfile.ZipFile(checkpoint) as archive:
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                operations = pickletools.genops(archive.read(name))
                yield from (argument for _, argument, _ in operations if isinstance(argument, str))
