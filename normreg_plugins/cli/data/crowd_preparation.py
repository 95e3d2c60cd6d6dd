"""Prepare a crowd data set: split it, prepare its images in several processes, report what was odd."""

from __future__ import annotations

import argparse
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from normreg_plugins.cli.data.prepared_folder import SetError, check_counts, make_folder, raw_parser, read_all
from normreg_plugins.crowd.data.images import SHORTER_SIDE, checked_bounds
from normreg_plugins.crowd.data.points import Points
from normreg_plugins.crowd.data.preparation import RawImage, Record, prepare_image, records_in
from normreg_plugins.files import write_json

Splits = Mapping[str, Sequence[RawImage]]


@dataclass(frozen=True)
class CrowdSet:
    """What differs from one raw crowd data set to another."""

    find: Callable[[Path, str], list[RawImage]]  # from the raw folder and 'train' or 'test' to its images
    read_points: Callable[[Path], Points]
    counts: Mapping[str, tuple[int, int]]  # official numbers of training and test images
    source: str  # where to get it


def prepare_crowd(args: argparse.Namespace, raw: CrowdSet) -> int:
    """Prepare train, val and test."""
    try:
        sides = checked_bounds(tuple(args.sides))
    except ValueError as error:
        raise SetError(f"--sides: {error}") from error
    all_train, test = (raw.find(args.raw, split) for split in ("train", "test"))
    check_counts(args.raw, {"training": all_train, "test": test}, raw.counts, raw.source, args.any_counts)
    splits = {**split_images(all_train, args), "test": test}
    note = {"sides": sides, "images": {split: [image.name for image in some] for split, some in splits.items()}}
    work = partial(prepare_image, shorter_side=sides, read_points=raw.read_points)
    print(make_folder(args.out, note, partial(write, splits, work, raw.source, args.workers)))
    for split in splits:
        report(split, records_in(args.out / f"{split}.json"))
    return 0


def parser(description: str | None, val: int) -> argparse.ArgumentParser:
    parser = raw_parser(description)
    add = parser.add_argument
    sides = "bounds of the shorter side in pixels (default: 512 2048)"
    add("--sides", type=int, nargs=2, default=SHORTER_SIDE, metavar=("LEAST", "MOST"), help=sides)
    add("--val", type=int, default=val, help=f"training images held out for validation (default: {val})")
    add("--seed", type=int, default=0, help="which images are held out (default: 0)")
    lists = "instead of --val: two text files that name the images of train and val, one per line"
    add("--lists", type=Path, nargs=2, metavar=("TRAIN", "VAL"), help=lists)
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    return parser


def split_images(images: Sequence[RawImage], args: argparse.Namespace) -> dict[str, list[RawImage]]:
    """The training and the validation images: those of the lists, or so many drawn by the seed."""
    if args.lists:
        train, val = (_listed(path, images) for path in args.lists)
        if both := {raw.name for raw in train} & {raw.name for raw in val}:
            raise SetError(f"{len(both)} images are in both lists, e.g. {min(both)}")
        return {"train": train, "val": val}
    if not 0 < args.val < len(images):
        raise SetError(f"--val {args.val}: there are {len(images)} training images")
    held_out = set(random.Random(args.seed).sample(range(len(images)), args.val))
    train = [raw for index, raw in enumerate(images) if index not in held_out]
    return {"train": train, "val": [images[index] for index in sorted(held_out)]}


def _listed(path: Path, images: Sequence[RawImage]) -> list[RawImage]:
    known = {raw.name: raw for raw in images}
    lines = [line.strip() for line in path.read_text().splitlines()]
    names = [Path(line.split()[0]).stem for line in lines if line]
    if unknown := [name for name in names if name not in known]:
        raise SetError(f"{path}: {len(unknown)} unknown images, e.g. {unknown[0]}")
    if len(set(names)) != len(names):
        raise SetError(f"{path} names an image twice")
    return [known[name] for name in names]


def write(splits: Splits, work: Callable[..., Record], source: str, workers: int, folder: Path) -> None:
    for split in splits:
        (folder / split).mkdir()
    images = [replace(image, split=split) for split, some in splits.items() for image in some]
    records = read_all(partial(work, out=folder), images, source, workers)
    for split in splits:
        of_split = [record for image, record in records.items() if image.split == split]
        write_json(folder / f"{split}.json", {"images": of_split})


def report(split: str, records: Sequence[Record]) -> None:
    """Print what is in a split, and what was odd about it."""
    print(f"{split}: {len(records)} images, {sum(record['count'] for record in records)} points")
    odd = sum((Counter(record["odd"]) for record in records), Counter[str]())
    for what, number in odd.most_common():
        images = [record["name"] for record in records if what in record["odd"]]
        print(f"odd: {what}: {number} in {len(images)} images, e.g. {split}/{images[0]}")


def pair(pictures: Sequence[Path], annotation_of: Callable[[Path], Path], folder: Path) -> list[RawImage]:
    """Pictures with their annotation files, in the order of their names."""
    if not pictures:
        raise SetError(f"{folder}: no pictures there")
    return [RawImage(path.stem, path, annotation_of(path)) for path in sorted(pictures)]
