"""The checkpoint that a run resumes from: is it whole, and was it trained as this config trains?

Nothing that is in a checkpoint is run to read it.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normreg_plugins.cli.preflight.initial_weights import weight_problems
from normreg_plugins.cli.preflight.problem import Problem
from normreg_plugins.core.training import STATE_KEY


def resume_problems(cfg: Mapping[str, Any]) -> list[Problem]:
    """A checkpoint that is missing or torn, or one that was trained with a method where the config has none."""
    checkpoint = to_resume(cfg)
    if checkpoint is None:
        return []
    problems = weight_problems("load_from", checkpoint)
    if not problems and not names_a_method(cfg) and trained_with_method(Path(checkpoint)):
        what = f"{checkpoint} was trained with a method, and this config has none"
        get = "resume with the same regularizer, or begin a new run from its weights: leave --resume out"
        problems.append(Problem(what, get, ("load_from",)))
    return problems


def to_resume(cfg: Mapping[str, Any]) -> str | None:
    """The checkpoint that a run goes on from: the one it names, or the last in its work dir."""
    if not cfg.get("resume"):
        return None
    last = Path(cfg["work_dir"]) / "last_checkpoint"
    return cfg.get("load_from") or (last.read_text().strip() if last.is_file() else None)


def names_a_method(cfg: Mapping[str, Any]) -> bool:
    """Whether an mm config trains with a method, through its optim_wrapper or through a hook."""
    hooks = cfg.get("custom_hooks") or []
    return "regularizer" in (cfg.get("optim_wrapper") or {}) or any("regularizer" in hook for hook in hooks)


def trained_with_method(checkpoint: Path) -> bool:
    """Whether the optimizer's state in a checkpoint carries a method's update count."""
    return STATE_KEY in _strings(checkpoint)


def _strings(checkpoint: Path) -> Iterator[str]:
    """Every string that the checkpoint's pickle holds; none for torch's old format, which is no zip file."""
    if not zipfile.is_zipfile(checkpoint):
        return
    with zipfile.ZipFile(checkpoint) as archive:
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                operations = pickletools.genops(archive.read(name))
                yield from (argument for _, argument, _ in operations if isinstance(argument, str))
