"""What a checkpoint says of how it was trained, read without running anything that is in it."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normreg_plugins.core.training import STATE_KEY


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
