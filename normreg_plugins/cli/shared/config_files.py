"""Find and read mm configs, ours by their names alone: `normreg train mini/yolov3_wrs.py` from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

from mmengine.config import Config

from normreg_plugins.cli.shared.refusal import refuse
from normreg_plugins.hosts.mmengine import read_config

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def find_config(name: str | Path) -> Path:
    """The file of this path or, if there is none, our config of this name; the command ends if there is neither."""
    found = next((path for path in (Path(name), CONFIGS / name) if path.is_file()), None)
    if found is None:
        refuse(f"there is no config {name} (in {Path.cwd()} or in {CONFIGS})")
    return found


def config_of(name: str | Path) -> Config:
    """The config. Its `custom_imports` may name a module in the working directory, such as a method of one's own."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return read_config(find_config(name))
