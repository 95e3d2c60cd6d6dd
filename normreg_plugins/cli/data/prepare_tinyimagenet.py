"""Make Tiny ImageNet ready for mmpretrain: `prepare_tinyimagenet.py tiny-imagenet-200 data/tinyimagenet`

It reads the unpacked archive and copies nothing. The target gets links to its training and validation images, and two
lists with a class for each image:

  train -> .../train            n01443537/images/n01443537_0.JPEG 0     train.txt
  val   -> .../val/images       val_0.JPEG 107                          val.txt

The classes are numbered in the order of wnids.txt, sorted. Some validation images are drawn with their
classes, to contact_sheet.png. An existing target is checked and written again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from normreg_plugins.cli.data.contact_sheets import FILE, draw_classes
from normreg_plugins.files import write_text

CLASSES, TRAIN, VAL = 200, 100_000, 10_000
URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"


class LayoutError(ValueError):
    """The folder is not the unpacked archive, or not all of it."""


def classes_of(source: Path) -> dict[str, int]:
    return {wnid: number for number, wnid in enumerate(sorted(_lines(source / "wnids.txt")))}


def train_list(source: Path, classes: dict[str, int]) -> list[str]:
    folder = source / "train"
    found = [(path, classes[wnid]) for wnid in classes for path in sorted((folder / wnid / "images").glob("*.JPEG"))]
    return [f"{path.relative_to(folder).as_posix()} {label}" for path, label in found]


def val_list(source: Path, classes: dict[str, int]) -> list[str]:
    """From lines of val_annotations.txt: name, class and box, with tabs between them."""
    rows = [line.split("\t") for line in _lines(source / "val" / "val_annotations.txt")]
    gone = [row[0] for row in rows if not (source / "val" / "images" / row[0]).is_file()]
    if gone:
        raise LayoutError(f"{len(gone)} validation images are missing, such as {gone[0]}: unpack {URL} again")
    return [f"{row[0]} {classes[row[1]]}" for row in rows]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise LayoutError(f"{path} does not exist: give the unpacked tiny-imagenet-200.zip from {URL}")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def link(place: Path, to: Path) -> None:
    """A link at `place`; one that is there already must lead to the same folder."""
    if place.is_symlink() and place.resolve() == to.resolve():
        return
    if place.exists() or place.is_symlink():
        raise LayoutError(f"{place} exists and is no link to {to}: remove it yourself")
    place.symlink_to(to.resolve(), target_is_directory=True)


def prepare(source: Path, target: Path, any_counts: bool) -> str:
    classes = classes_of(source)
    lists = {"train": train_list(source, classes), "val": val_list(source, classes)}
    found = (len(classes), len(lists["train"]), len(lists["val"]))
    if found != (CLASSES, TRAIN, VAL) and not any_counts:
        raise LayoutError(
            f"{source} has {found[0]} classes, {found[1]} training and {found[2]} validation images, Tiny ImageNet has "
            f"{CLASSES}, {TRAIN} and {VAL}: unpack {URL} again, or pass --any-counts if that is on purpose"
        )
    target.mkdir(parents=True, exist_ok=True)
    link(target / "train", source / "train")
    link(target / "val", source / "val" / "images")
    for split, lines in lists.items():
        write_text(target / f"{split}.txt", "\n".join(lines) + "\n")
    draw_classes(lists["val"], target / "val", [*classes], target / FILE)
    return f"{target}: {found[1]} training and {found[2]} validation images of {found[0]} classes"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the unpacked tiny-imagenet-200")
    parser.add_argument("target", type=Path, nargs="?", default=Path("data/tinyimagenet"), help="(%(default)s)")
    parser.add_argument("--any-counts", action="store_true", help="accept other numbers of images than the set has")
    args = parser.parse_args(argv)
    try:
        print(prepare(args.source, args.target, args.any_counts))
    except (LayoutError, KeyError) as error:
        print(error, file=sys.stderr)
        return 2
    print("train with: python tools/train.py configs/classification/resnet18_wrs_tinyimagenet.py")
    return 0
