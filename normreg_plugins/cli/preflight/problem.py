"""One thing that keeps a config from running, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normreg_plugins.cli.preflight.where_to_get import where_to_get


@dataclass(frozen=True)
class Problem:
    what: str
    get: str
    """What to do about it."""
    keys: tuple[str, ...]
    """The config keys that ask for it, in the form that --cfg-options takes."""

    def __str__(self) -> str:
        elsewhere = " ".join(f"{key}=PATH" for key in self.keys)
        way_out = f"\n  or, if it is elsewhere: --cfg-options {elsewhere}" if elsewhere else ""
        return f"- {self.what}\n  {self.get}{way_out}"


def missing(path: Path, key: str) -> Problem:
    get = where_to_get(path) or f"put it at {path.absolute()}"
    return Problem(f"{path} does not exist (in {Path.cwd()})", get, (key,))


def is_remote(path: str) -> bool:
    return "://" in path
