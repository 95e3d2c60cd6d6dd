"""Hooks of a base config that the config itself has lost: mm replaces lists, `custom_hooks` among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

UNREADABLE = (OSError, ImportError, AttributeError, SyntaxError, TypeError, ValueError, KeyError)
SUCCESSORS = {"EMAHook": "NormRegEMAHook"}
"""Hooks of ours that stand for one of mm's."""


def lost_hook_warnings(cfg: Mapping[str, Any], config_file: str) -> list[str]:
    """One sentence for each base config with hooks that `cfg` has not; none where the bases cannot be read."""
    here = set(_types(cfg))
    warnings: list[str] = []
    told: set[str] = set()
    for base, hooks in _base_hooks(config_file):
        lost = [hook for hook in hooks if hook not in here | told and SUCCESSORS.get(hook) not in here]
        told.update(lost)
        if lost:
            warnings.append(
                f"{base} has {', '.join(lost)} in custom_hooks, and this config has not: mm replaces lists. To keep "
                "what is there, write custom_hooks = [*_base_.custom_hooks, ...]"
            )
    return warnings


def _base_hooks(config_file: str) -> Iterator[tuple[str, list[str]]]:
    """Each base config, the nearest first, and the types of its hooks. Only mm's older style of configs names bases."""
    try:
        bases = Config._get_base_files(config_file)
        found = [Config._get_cfg_path(base, config_file)[0] for base in bases]
        read = [(path, list(_types(Config.fromfile(path, import_custom_modules=False)))) for path in found]
    except UNREADABLE:
        return  # mm has read the config itself, so a warning is all that is lost
    yield from read
    for path, _ in read:
        yield from _base_hooks(path)


def _types(cfg: Mapping[str, Any]) -> Iterator[str]:
    for hook in cfg.get("custom_hooks") or ():
        if isinstance(hook, Mapping) and hook.get("type"):
            yield hook["type"] if isinstance(hook["type"], str) else hook["type"].__name__
