"""Images with a class each: are the files of a classification set there, whole, and of the classes that a head has?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

CIFAR = ("CIFAR10", "CIFAR100")
FOLDERS = ("CustomDataset", "ImageNet")
TYPES = (*CIFAR, *FOLDERS)


def class_faults(dataset: Mapping[str, Any], root: Path, model: Any) -> list[str]:
    """What is wrong with a classification set; an empty list if it can be trained on.

    Args:
        root: the folder of the set, which exists.
    """
    if dataset["type"] in CIFAR:
        return _cifar_faults(dataset["type"], root)
    head = ((model or {}).get("head") or {}).get("num_classes")
    prefix, split = dataset.get("data_prefix") or "", dataset.get("split") or ""
    images = root / (prefix.get("img_path", "") if isinstance(prefix, Mapping) else prefix or split)
    listed = root / (dataset.get("ann_file") or f"meta/{split}.txt")
    if listed.is_file():
        return [f"{listed}: {fault}" for fault in _list_faults(listed, images, head)]
    return [f"{images}: {fault}" for fault in _folder_faults(images, head)]


def _cifar_faults(name: str, root: Path) -> list[str]:
    """mm's own list of files and checksums. It unpickles a file only if its checksum is right."""
    cifar = getattr(import_module("mmpretrain.datasets"), name)
    files = {root / cifar.base_folder / file: md5 for file, md5 in (*cifar.train_list, *cifar.test_list)}
    absent = [path for path in files if not path.is_file()]
    if absent:
        return [f"{absent[0]} does not exist (in {Path.cwd()})"]
    return [f"{path} is damaged: its MD5 is not {md5}" for path, md5 in files.items() if _md5(path) != md5]


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _list_faults(listed: Path, images: Path, head: int | None) -> Iterator[str]:
    """One line for each kind of fault, with an example. A line of the list is a file name and a number."""
    lines = [line.strip().rsplit(" ", 1) for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        yield "the list is empty"
    if broken := [line for line in lines if len(line) != 2 or not line[1].isdecimal()]:
        yield f"{len(broken)} lines are no file name and number, such as {' '.join(broken[0])!r}"
        return
    if gone := [name for name, _ in lines if not (images / name).is_file()]:
        yield f"{len(gone)} of its {len(lines)} images are not in {images}, such as {gone[0]}"
    labels = {int(label) for _, label in lines}
    if head is not None and labels and max(labels) >= head:
        yield f"has the class {max(labels)}, but model.head.num_classes is {head}"


def _folder_faults(images: Path, head: int | None) -> Iterator[str]:
    if not images.is_dir():
        yield f"there is no such folder (in {Path.cwd()})"
        return
    classes = sorted(folder for folder in images.iterdir() if folder.is_dir())
    if head is not None and len(classes) != head:
        yield f"has a folder for each of {len(classes)} classes, but model.head.num_classes is {head}"
    if empty := [folder.name for folder in classes if next(folder.iterdir(), None) is None]:
        yield f"{len(empty)} classes have no image, such as {empty[0]}"
