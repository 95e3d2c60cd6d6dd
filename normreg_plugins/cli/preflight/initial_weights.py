"""The checkpoints that a model begins with: are they on this machine, and whole?"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from normreg_plugins.cli.preflight.problem import Problem, is_remote

PICKLE_MAGIC = b"\x80"
"""The first byte of torch.save's old format. Only loading such a file can tell whether it is whole."""


def initial_weights(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every checkpoint that a part of a model begins with, with its key."""
    if isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from initial_weights(part, f"{key}.{index}")
    elif isinstance(node, Mapping):
        name = "checkpoint" if node.get("type") == "Pretrained" else "pretrained"
        for inner, value in node.items():
            if inner == name and isinstance(value, str):
                yield f"{key}.{inner}", value
            else:
                yield from initial_weights(value, f"{key}.{inner}")


def weight_problems(key: str, checkpoint: str) -> list[Problem]:
    """Is the checkpoint that `key` names on this machine, in mm's cache or as a file, and whole?"""
    url = _url_of(checkpoint)
    if url is None and is_remote(checkpoint):
        return []  # only the loader of that scheme can tell
    if url is None:
        path = Path(checkpoint).expanduser()
        get = f"put it at {path.absolute()}"
    else:
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        get = f"curl --create-dirs -L -o {path} {url}"
    if not path.is_file():
        return [Problem(f"the weights {checkpoint} are not at {path}", get, (key,))]
    if not _looks_whole(path):
        return [Problem(f"{path} is no checkpoint, or one that was cut off", get, (key,))]
    return []


def _looks_whole(path: Path) -> bool:
    """Whether torch.load can read the file: a torn download or save is a zip file without its end."""
    with path.open("rb") as file:
        return file.read(1) == PICKLE_MAGIC or zipfile.is_zipfile(path)


def _url_of(checkpoint: str) -> str | None:
    """The address that mm downloads such a checkpoint from, or None if it does not download it."""
    from mmengine.runner import checkpoint as zoo

    scheme, _, name = checkpoint.partition("://")
    if scheme in ("http", "https"):
        return checkpoint
    if scheme in ("open-mmlab", "openmmlab"):
        return zoo.get_external_models().get(zoo.get_deprecated_model_names().get(name, name))
    if scheme in ("torchvision", "modelzoo"):
        return zoo.get_torchvision_models().get(name)
    return None
