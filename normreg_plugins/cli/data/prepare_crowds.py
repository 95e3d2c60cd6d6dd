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

import numpy as np
from PIL import Image
from scipy.ndimage import center_of_mass, label

from normreg_plugins.cli.data import prepared_folder as sets
from normreg_plugins.crowd.data.images import SHORTER_SIDE, UNREADABLE, checked_bounds
from normreg_plugins.crowd.data.points import AnnotationError, Points, read_qnrf_points, read_shanghaitech_points
from normreg_plugins.crowd.data.preparation import RawImage, Record, prepare_image, records_in
from normreg_plugins.files import write_json


@dataclass(frozen=True)
class CrowdSet:
    """What differs from one raw crowd data set to another."""

    about: str  # what --help says
    find: Callable[[Path, str], list[RawImage]]  # from the raw folder and 'train' or 'test' to its images
    read_points: Callable[[Path], Points]
    counts: Mapping[str, tuple[int, int]]  # official numbers of training and test images
    source: str  # where to get it
    val: int  # how many training images are held out


def prepare_crowd(raw: CrowdSet, argv: Sequence[str] | None = None) -> int:
    """Prepare train, val and test."""
    args = parser(raw).parse_args(argv)
    sides = checked_bounds(tuple(args.sides))
    all_train, test = (raw.find(args.raw, split) for split in ("train", "test"))
    sets.check_counts(args.raw, {"training": all_train, "test": test}, raw.counts, raw.source, args.any_counts)
    splits = {**split_images(all_train, args), "test": test}
    note = {"sides": sides, "images": {split: [image.name for image in some] for split, some in splits.items()}}
    work = partial(prepare_image, shorter_side=sides, read_points=raw.read_points)
    print(sets.make_folder(args.out, note, partial(write, splits, work, raw.source, args.workers)))
    for split in splits:
        report(split, records_in(args.out / f"{split}.json"))
    return 0


def parser(raw: CrowdSet) -> argparse.ArgumentParser:
    add = (options := sets.raw_parser(raw.about)).add_argument
    sides = "bounds of the shorter side in pixels (default: 512 2048)"
    add("--sides", type=int, nargs=2, default=SHORTER_SIDE, metavar=("LEAST", "MOST"), help=sides)
    add("--val", type=int, default=raw.val, help="training images held out for validation (default: %(default)s)")
    add("--seed", type=int, default=0, help="which images are held out (default: 0)")
    lists = "instead of --val: two text files that name the images of train and val, one per line"
    add("--lists", type=Path, nargs=2, metavar=("TRAIN", "VAL"), help=lists)
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    return options


def split_images(images: Sequence[RawImage], args: argparse.Namespace) -> dict[str, list[RawImage]]:
    """The training and the validation images: those of the lists, or so many drawn by the seed."""
    if args.lists:
        train, val = (_listed(path, images) for path in args.lists)
        if both := {raw.name for raw in train} & {raw.name for raw in val}:
            raise sets.SetError(f"{len(both)} images are in both lists, e.g. {min(both)}")
        return {"train": train, "val": val}
    if not 0 < args.val < len(images):
        raise sets.SetError(f"--val {args.val}: there are {len(images)} training images")
    held_out = set(random.Random(args.seed).sample(range(len(images)), args.val))
    train = [raw for index, raw in enumerate(images) if index not in held_out]
    return {"train": train, "val": [images[index] for index in sorted(held_out)]}


def _listed(path: Path, images: Sequence[RawImage]) -> list[RawImage]:
    known = {raw.name: raw for raw in images}
    lines = [line.strip() for line in path.read_text().splitlines()]
    names = [Path(line.split()[0]).stem for line in lines if line]
    if unknown := [name for name in names if name not in known]:
        raise sets.SetError(f"{path}: {len(unknown)} unknown images, e.g. {unknown[0]}")
    if len(set(names)) != len(names):
        raise sets.SetError(f"{path} names an image twice")
    return [known[name] for name in names]


def write(
    splits: Mapping[str, Sequence[RawImage]], work: Callable[..., Record], source: str, workers: int, folder: Path
) -> None:
    for split in splits:
        (folder / split).mkdir()
    images = [replace(image, split=split) for split, some in splits.items() for image in some]
    records = sets.read_all(partial(work, out=folder), images, source, workers)
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


def _pairs(pictures: Sequence[Path], annotation_of: Callable[[Path], Path], folder: Path) -> list[RawImage]:
    """Pictures with their annotation files, in the order of their names."""
    if not pictures:
        raise sets.SetError(f"{folder}: no pictures there")
    return [RawImage(path.stem, path, annotation_of(path)) for path in sorted(pictures)]


QNRF = """Prepare UCF-QNRF for training: `normreg prepare-qnrf UCF-QNRF_ECCV18 data/qnrf`.

It reads Train/ and Test/, each with img_XXXX.jpg and img_XXXX_ann.mat (key annPoints), and writes train, val and test.
The protocol is that of the Bayesian loss. Points outside the picture are dropped. Pictures are resized so that the
shorter side has 512 to 2048 pixels. 120 of the 1,201 training images are held out for validation; --lists takes the
lists of names of a published split instead. UCF-QNRF has 1,201 and 334 images; --any-counts accepts another set in this
layout. The folder appears complete or not at all.
"""
QNRF_SOURCE = "UCF-QNRF_ECCV18.zip, https://www.crcv.ucf.edu/data/ucf-qnrf/"


def find_qnrf(raw: Path, split: str) -> list[RawImage]:
    folder = raw / split.capitalize()
    sets.check_paths({folder: QNRF_SOURCE})
    pictures = [*folder.glob("*.jpg"), *folder.glob("*.jpeg"), *folder.glob("*.png")]
    return _pairs(pictures, lambda path: path.with_name(f"{path.stem}_ann.mat"), folder)


SHANGHAITECH = """Prepare one part of ShanghaiTech: `normreg prepare-shanghaitech part_A data/shanghaitech_a`.

It reads train_data/ and test_data/, each with images/IMG_X.jpg and ground_truth/GT_IMG_X.mat (or ground-truth/), and
writes train, val and test as prepare-qnrf does. There is no official validation split. By default 30 of
part A's 300 training images are held out.
"""
SHANGHAITECH_SOURCE = "the archive of ShanghaiTech (Zhang et al., CVPR 2016), which has part_A and part_B"


def find_shanghaitech(raw: Path, split: str) -> list[RawImage]:
    pictures = raw / f"{split}_data" / "images"
    truths = [pictures.with_name(name) for name in ("ground_truth", "ground-truth")]
    truth = next((folder for folder in truths if folder.is_dir()), truths[0])
    sets.check_paths({pictures: SHANGHAITECH_SOURCE, truth: SHANGHAITECH_SOURCE})
    return _pairs([*pictures.glob("*.jpg")], lambda path: truth / f"GT_{path.stem}.mat", pictures)


MBM = """Prepare MBM, bone marrow with a dot on each cell nucleus: `normreg prepare-mbm RAW data/mbm`.

RAW is the folder MBM_data of https://github.com/ieee8023/countception, with NAME_NNN.png and NAME_dots_NNN.png. The
command writes train, val and test as prepare-qnrf does. Pixels of a mask that touch are one dot.

There is no official split. As in Cohen et al. 2017 (Count-ception), 15 pictures are for training, 14 for validation and
15 for testing, drawn at random. Seed 0 draws the test pictures, whatever --seed is, and --seed draws the validation
pictures. Four pictures each are quarters of one, and they can be in different splits, as in that paper. There are 44
pictures; --any-counts accepts another set in this layout, of which a third is for testing.
"""
MBM_SOURCE = "the folder MBM_data of https://github.com/ieee8023/countception"
DOTS = "_dots_"
TEST_SEED = 0


def find_mbm(raw: Path, split: str) -> list[RawImage]:
    """The pictures that are trained and validated on, or those of the test."""
    pictures = [path for path in raw.glob("*_*.png") if DOTS not in path.name]
    if not pictures:
        raise sets.SetError(f"{raw} has no pictures NAME_NNN.png; get {MBM_SOURCE}")
    images = _pairs(pictures, _dots_of, raw)
    test = {*random.Random(TEST_SEED).sample(range(len(images)), round(len(images) / 3))}
    return [image for index, image in enumerate(images) if (index in test) == (split == "test")]


def _dots_of(picture: Path) -> Path:
    """BM_0001_01_000.png -> BM_0001_01_dots_000.png"""
    name, _, number = picture.name.rpartition("_")
    return picture.with_name(f"{name}{DOTS}{number}")


def read_dots(path: Path) -> Points:
    """The centre (x, y) of each dot of a mask, in pixels."""
    try:
        with Image.open(path) as picture:
            marked = np.asarray(picture.convert("L")) > 0
    except UNREADABLE as error:
        raise AnnotationError(f"{path}: cannot be read as a mask of dots: {error}") from error
    dots, number = label(marked, np.ones((3, 3)))
    centres = np.array(center_of_mass(marked, dots, range(1, number + 1)), dtype=np.float32).reshape(-1, 2)
    return centres[:, ::-1]


qnrf = partial(
    prepare_crowd, CrowdSet(QNRF, find_qnrf, read_qnrf_points, {"UCF-QNRF": (1_201, 334)}, QNRF_SOURCE, val=120)
)
PARTS = {"part A": (300, 182), "part B": (400, 316)}
shanghaitech = partial(
    prepare_crowd,
    CrowdSet(SHANGHAITECH, find_shanghaitech, read_shanghaitech_points, PARTS, SHANGHAITECH_SOURCE, val=30),
)
mbm = partial(prepare_crowd, CrowdSet(MBM, find_mbm, read_dots, {"MBM": (29, 15)}, MBM_SOURCE, val=14))
