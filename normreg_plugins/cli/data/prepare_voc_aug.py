"""Make the augmented training set of PASCAL VOC 2012: 1,464 images of VOC and 9,118 of SBD are 10,582.

VOC's own masks stay as they are. SBD's labels come as .mat files and are written as PNG masks beside them. The 1,449
validation images are VOC's, and none of them is trained on.

It reads
  VOC/JPEGImages/ and VOC/ImageSets/Segmentation/{train,val}.txt
  SBD/train.txt, SBD/val.txt and SBD/cls/*.mat
and writes VOC/SegmentationClassAug/*.png and, when all are there, VOC/ImageSets/Segmentation/aug.txt. Some of the
masks are drawn over their images, to VOC/SegmentationClassAug.png. A run that was interrupted goes on where it stopped
when the same command is run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy.io import loadmat

from normreg_plugins.cli.data.contact_sheets import draw_masks
from normreg_plugins.crowd.data import AnnotationError, mortal
from normreg_plugins.evaluation import IGNORED, MaskError, read_mask, save_mask
from normreg_plugins.files import write_text

VOC_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
SBD_URL = (
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz, "
    "which holds benchmark_RELEASE/dataset"
)
CLASSES = 21
LISTS = Path("ImageSets") / "Segmentation"
MASKS = "SegmentationClassAug"


@dataclass(frozen=True)
class Counts:
    """How many images there must be. None means any number."""

    train: int | None = 1_464
    val: int | None = 1_449
    aug: int | None = 9_118


ANY = Counts(None, None, None)
WAY_OUT = "or pass --any-counts if it is another set on purpose"


class AugError(ValueError):
    """The files are not those that the augmented set is made from."""


def missing(voc: Path, sbd: Path) -> list[str]:
    """What to fetch, and where to put it."""
    wanted = {
        voc / "JPEGImages": f"from {VOC_URL}",
        voc / LISTS / "train.txt": f"from {VOC_URL}",
        voc / LISTS / "val.txt": f"from {VOC_URL}",
        sbd / "cls": f"from {SBD_URL}",
        sbd / "train.txt": f"from {SBD_URL}",
        sbd / "val.txt": f"from {SBD_URL}",
    }
    return [f"{path} is missing: {source}" for path, source in wanted.items() if not path.exists()]


def aug_names(voc: Path, sbd: Path, counts: Counts) -> list[str]:
    """The images of SBD that VOC neither trains nor validates on, in alphabetical order."""
    train, val = (_listed(voc / LISTS / f"{split}.txt", getattr(counts, split)) for split in ("train", "val"))
    if both := sorted(set(train) & set(val)):
        raise AugError(f"{voc / LISTS}: train.txt and val.txt share {len(both)} images, e.g. {both[0]}")
    labelled = {*_listed(sbd / "train.txt"), *_listed(sbd / "val.txt")}
    names = sorted(labelled - set(train) - set(val))
    if counts.aug not in (None, len(names)):
        raise AugError(
            f"{sbd} adds {len(names)} images to VOC's {len(train)}, not {counts.aug}. It should list 11,355 images; "
            f"get it again, {SBD_URL}, {WAY_OUT}"
        )
    return names


def _listed(path: Path, expected: int | None = None) -> list[str]:
    names = path.read_text(encoding="utf-8").split()
    if expected not in (None, len(names)):
        raise AugError(f"{path} lists {len(names)} images, VOC 2012 has {expected}: get it again, {VOC_URL}, {WAY_OUT}")
    return names


def refuse_partial(folder: Path, names: Sequence[str], suffix: str, source: str) -> None:
    there = {path.name for path in folder.iterdir()}
    if lost := [name for name in names if f"{name}{suffix}" not in there]:
        raise AugError(
            f"{folder} lacks {len(lost)} of {len(names)} files, e.g. {lost[0]}{suffix}: unpack it again, {source}"
        )


def labels_in(mat_file: Path) -> NDArray[np.uint8]:
    """The class of each pixel in one of SBD's files."""
    try:
        return mortal(read_labels)(mat_file)
    except AnnotationError as error:
        raise AugError(str(error)) from error


def read_labels(mat_file: Path) -> NDArray[np.uint8]:
    """The same in this process, which a damaged file may end."""
    try:
        labels = loadmat(mat_file, variable_names=["GTcls"])["GTcls"][0, 0]["Segmentation"]
    except Exception as error:  # scipy and zlib raise many kinds for a torn file
        raise AugError(f"{mat_file} is no class file of SBD, or was cut off: {error!r}") from error
    strange = np.setdiff1d(labels, [*range(CLASSES), IGNORED])
    if labels.ndim != 2 or strange.size:
        what = f"labels such as {strange[0]}" if strange.size else f"shape {labels.shape}"
        raise AugError(f"{mat_file} has {what}; VOC's labels are 0 to {CLASSES - 1}, {IGNORED} and one per pixel")
    return labels.astype(np.uint8)


def convert(mat_file: Path, image: Path, mask: Path) -> bool:
    """Write one mask if it is not there yet; True if it was written."""
    with Image.open(image) as picture:
        size = picture.size[::-1]
    if mask.exists():
        _check_found(mask, size)
        return False
    labels = labels_in(mat_file)
    if labels.shape != size:
        raise AugError(f"{mat_file} is for another image: {labels.shape} pixels, {image} has {size}")
    save_mask(labels, mask)
    return True


def _check_found(mask: Path, size: tuple[int, ...]) -> None:
    """Refuse a mask of an earlier run, or of another tool, that does not fit its image."""
    try:
        fits = read_mask(mask).shape == size
    except (MaskError, OSError, SyntaxError) as error:
        raise AugError(f"{mask} was there and cannot be read ({error}); remove it, and run this again") from error
    if not fits:
        raise AugError(f"{mask} was there and is for an image of another size; remove it, and run this again")


def write_list(path: Path, names: Sequence[str]) -> None:
    """Write the list of images, last of all: where it exists, the set is complete."""
    content = "".join(f"{name}\n" for name in names)
    if path.exists():
        if sorted(path.read_text(encoding="utf-8").split()) != sorted(names):
            raise AugError(f"{path} is there and lists other images; move it away, and run this again")
        return
    write_text(path, content)


def prepare(voc: Path, sbd: Path, counts: Counts) -> None:
    if lacking := missing(voc, sbd):
        raise AugError("\n".join(lacking))
    names = aug_names(voc, sbd, counts)
    train, val = (_listed(voc / LISTS / f"{split}.txt") for split in ("train", "val"))
    everything = [*names, *train, *val]
    refuse_partial(voc / "JPEGImages", everything, ".jpg", VOC_URL)
    refuse_partial(sbd / "cls", names, ".mat", SBD_URL)
    (voc / MASKS).mkdir(exist_ok=True)
    written = 0
    for name in track(names, "converting", console=Console(stderr=True)):
        image, mask = voc / "JPEGImages" / f"{name}.jpg", voc / MASKS / f"{name}.png"
        written += convert(sbd / "cls" / f"{name}.mat", image, mask)
    write_list(voc / LISTS / "aug.txt", names)
    draw_masks(names, voc / "JPEGImages", voc / MASKS, voc / f"{MASKS}.png")
    print(f"{voc / MASKS}: {written} masks written, {len(names) - written} were there")
    print(f"{len(train) + len(names)} images to train on (train.txt and aug.txt), {len(val)} to validate (val.txt)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--voc", type=Path, default=Path("data/VOCdevkit/VOC2012"), help="folder of VOC 2012 (%(default)s)")
    add("--sbd", type=Path, default=Path("data/benchmark_RELEASE/dataset"), help="folder of SBD (%(default)s)")
    add("--any-counts", action="store_true", help="accept other numbers of images than VOC 2012 and SBD have")
    args = parser.parse_args()
    try:
        prepare(args.voc, args.sbd, ANY if args.any_counts else Counts())
    except (AugError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; run it again to go on from here", file=sys.stderr)
        return 130
    print("train with: python tools/train.py configs/deeplabv3_wrs.py")
    return 0
