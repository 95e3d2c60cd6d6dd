"""Prepare a crowd data set: split it, prepare its images in several processes, report what was odd."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from normreg_plugins.cli.data.prepared_folder import SetError, check_counts, raw_parser
from normreg_plugins.crowd.data.images import SHORTER_SIDE, checked_bounds
from normreg_plugins.crowd.data.points import Points
from normreg_plugins.crowd.data.preparation import RawImage, Record, Settings, prepare
from normreg_plugins.files import write_json


@dataclass(frozen=True)
class CrowdSet:
    """What differs from one raw crowd data set to another."""

    find: Callable[[Path, str], list[RawImage]]  # from the raw folder and 'train' or 'test' to its images
    read_points: Callable[[Path], Points]
    counts: Mapping[str, tuple[int, int]]  # official numbers of training and test images
    source: str  # where to get it


def prepare_crowd(args: argparse.Namespace, raw: CrowdSet) -> int:
    """Prepare train, val and test. Return 0 if every image is ready, 1 if some were left out."""
    try:
        sides = checked_bounds(tuple(args.sides))
    except ValueError as error:
        raise SetError(f"--sides: {error}") from error
    all_train, test = (raw.find(args.raw, split) for split in ("train", "test"))
    check_counts(args.raw, {"training": all_train, "test": test}, raw.counts, raw.source, args.any_counts)
    train, val, how = split_images(all_train, args)
    splits = {"train": train, "val": val, "test": test}
    settings = Settings(sides, split=how)
    records: dict[str, list[Record]] = {split: [] for split in splits}
    work = prepare(splits, args.out, settings, raw.read_points, args.workers)
    for split, record in track(work, "preparing", total=sum(map(len, splits.values()))):
        records[split].append(record)
    return report(records, args.out)


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


def split_images(images: Sequence[RawImage], args: argparse.Namespace) -> tuple[list, list, str]:
    """Training images, validation images, and a sentence that says how they were chosen."""
    if args.lists:
        train, val = (_listed(path, images) for path in args.lists)
        if both := {raw.name for raw in train} & {raw.name for raw in val}:
            raise SetError(f"{len(both)} images are in both lists, e.g. {min(both)}")
        return train, val, f"lists of {len(train)} and {len(val)} names"
    if not 0 < args.val < len(images):
        raise SetError(f"--val {args.val}: there are {len(images)} training images")
    held_out = set(random.Random(args.seed).sample(range(len(images)), args.val))
    train = [raw for index, raw in enumerate(images) if index not in held_out]
    return train, [images[index] for index in sorted(held_out)], f"{args.val} by seed {args.seed}"


def _listed(path: Path, images: Sequence[RawImage]) -> list[RawImage]:
    known = {raw.name: raw for raw in images}
    lines = [line.strip() for line in path.read_text().splitlines()]
    names = [Path(line.split()[0]).stem for line in lines if line]
    if unknown := [name for name in names if name not in known]:
        raise SetError(f"{path}: {len(unknown)} unknown images, e.g. {unknown[0]}")
    if len(set(names)) != len(names):
        raise SetError(f"{path} names an image twice")
    return [known[name] for name in names]


def report(records: Mapping[str, Sequence[Record]], out: Path) -> int:
    """Print what is ready and what was odd, and write it to report.json."""
    odd: Counter[str] = Counter()
    images: dict[str, list[str]] = {}
    left_out = []
    for split, some in records.items():
        ready = [record for record in some if "error" not in record]
        left_out += [record["error"] for record in some if "error" in record]
        points = sum(record["count"] for record in ready)
        print(f"{split}: {len(ready)} images, {points} points")
        for record in ready:
            for what, number in record["odd"].items():
                odd[what] += number
                images.setdefault(what, []).append(f"{split}/{record['name']}")
    for what, number in odd.most_common():
        print(f"odd: {what}: {number} in {len(images[what])} images, e.g. {images[what][0]}")
    write_json(out / "report.json", {"odd": odd, "images": images, "left_out": left_out})
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if left_out:
        way_out = "the others are ready. To add these, get them again and run the same command."
        print(f"{len(left_out)} images were left out; {way_out}", file=sys.stderr)
    return 1 if left_out else 0


def pair(pictures: Sequence[Path], annotation_of: Callable[[Path], Path], folder: Path) -> list[RawImage]:
    """Pictures with their annotation files, in the order of their names."""
    if not pictures:
        raise SetError(f"{folder}: no pictures there")
    return [RawImage(path.stem, path, annotation_of(path)) for path in sorted(pictures)]
