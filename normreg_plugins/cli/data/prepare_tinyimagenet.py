"""Prepare Tiny ImageNet for mmpretrain: `normreg prepare-tinyimagenet RAW data/tinyimagenet`.

RAW is the unpacked archive tiny-imagenet-200. Nothing is copied: the target gets links to its training and validation
images, and two lists with a class for each image:
  train -> .../train            n01443537/images/n01443537_0.JPEG 0     train.txt
  val   -> .../val/images       val_0.JPEG 107                          val.txt
The classes are numbered in the order of wnids.txt, sorted. Every image is opened once. The folder appears complete or
not at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from normreg_plugins.cli.data import prepared_folder as sets
from normreg_plugins.files import write_text

COUNTS = {"Tiny ImageNet": (100_000, 10_000)}
URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"


def prepare(args: argparse.Namespace) -> None:
    raw, out = args.raw, args.out
    wnids, annotations = raw / "wnids.txt", raw / "val" / "val_annotations.txt"
    sets.check_paths(dict.fromkeys((wnids, annotations), f"{URL}, and unpack it"))
    classes = {wnid: number for number, wnid in enumerate(sorted(_lines(wnids)))}
    lists = {"train": train_list(raw / "train", classes), "val": val_list(annotations, classes)}
    sets.check_counts(raw, lists, COUNTS, URL, args.any_counts)
    folders = {"train": raw / "train", "val": raw / "val" / "images"}
    pictures = [folders[split] / line.split()[0] for split in lists for line in lists[split]]
    sets.read_all(sets.picture_size, pictures, URL)
    note = {"raw": str(raw.resolve()), "images": {split: len(lines) for split, lines in lists.items()}}
    print(sets.make_folder(out, note, partial(write, lists, folders)))
    print(f"{out}: {len(lists['train'])} training and {len(lists['val'])} validation images of {len(classes)} classes")


def write(lists: Mapping[str, Sequence[str]], folders: Mapping[str, Path], out: Path) -> None:
    for split, lines in lists.items():
        (out / split).symlink_to(folders[split].resolve(), target_is_directory=True)
        write_text(out / f"{split}.txt", "\n".join(lines) + "\n")


def train_list(folder: Path, classes: dict[str, int]) -> list[str]:
    found = [(path, classes[wnid]) for wnid in classes for path in sorted((folder / wnid / "images").glob("*.JPEG"))]
    return [f"{path.relative_to(folder).as_posix()} {label}" for path, label in found]


def val_list(annotations: Path, classes: dict[str, int]) -> list[str]:
    """From lines of val_annotations.txt: name, class and box, with tabs between them."""
    rows = [line.split("\t") for line in _lines(annotations)]
    if strange := [row[0] for row in rows if row[1:2] == [] or row[1] not in classes]:
        raise sets.SetError(
            f"{annotations} has a class that wnids.txt lacks, for {strange[0]}; get it again from {URL}"
        )
    return [f"{row[0]} {classes[row[1]]}" for row in rows]


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main(argv: Sequence[str] | None = None) -> int:
    prepare(sets.raw_parser(__doc__).parse_args(argv))
    return 0
