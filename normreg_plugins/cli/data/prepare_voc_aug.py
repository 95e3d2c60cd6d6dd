"""Make the augmented training set of PASCAL VOC 2012: 1,464 images of VOC and 9,118 of SBD are 10,582.

VOC's own masks stay as they are. SBD's labels come as .mat files and are written as PNG masks beside them. The 1,449
validation images are VOC's, and none of them is trained on.

It reads
  VOC/JPEGImages/, VOC/SegmentationClass/ and VOC/ImageSets/Segmentation/{train,val}.txt
  SBD/train.txt, SBD/val.txt and SBD/cls/*.mat
and writes VOC/SegmentationClassAug/*.png and, when all are there, VOC/ImageSets/Segmentation/aug.txt. Run an
interrupted command again to continue.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from normreg_plugins.cli.data.prepared_folder import (
    SetError,
    add_any_counts,
    check_apart,
    check_complete,
    check_counts,
    check_labels,
    check_paths,
    picture_size,
    read_all,
    read_labels,
)
from normreg_plugins.evaluation.segmentation import IGNORED, save_mask
from normreg_plugins.files import write_text

VOC_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
SBD_URL = (
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz, "
    "which has benchmark_RELEASE/dataset"
)
COUNTS = {"the augmented set": (1_464, 1_449, 9_118)}
KNOWN = (*range(21), IGNORED)
LISTS = Path("ImageSets") / "Segmentation"
MASKS = "SegmentationClassAug"


def prepare(args: argparse.Namespace) -> None:
    voc, sbd = args.voc, args.sbd
    from_voc = [voc / "JPEGImages", voc / "SegmentationClass", voc / LISTS / "train.txt", voc / LISTS / "val.txt"]
    from_sbd = [sbd / "cls", sbd / "train.txt", sbd / "val.txt"]
    check_paths({**dict.fromkeys(from_voc, VOC_URL), **dict.fromkeys(from_sbd, SBD_URL)})
    names = names_of(voc, sbd)
    check_counts(voc, names, COUNTS, f"{VOC_URL} and {SBD_URL}", args.any_counts)
    check_apart(names)
    own, aug = [*names["train"], *names["val"]], names["aug"]
    check_complete(voc / "JPEGImages", [f"{name}.jpg" for name in (*own, *aug)], VOC_URL)
    check_complete(voc / "SegmentationClass", [f"{name}.png" for name in own], VOC_URL)
    check_complete(sbd / "cls", [f"{name}.mat" for name in aug], SBD_URL)
    (voc / MASKS).mkdir(exist_ok=True)
    cores = os.cpu_count() or 1
    written = sum(read_all(partial(convert, voc, sbd), aug, SBD_URL, cores).values())
    read_all(partial(check_mask, voc, "SegmentationClass"), own, VOC_URL, cores)
    write_list(voc / LISTS / "aug.txt", aug)
    print(f"{voc / MASKS}: {written} masks written, {len(aug) - written} were there")
    print(
        f"{len(names['train']) + len(aug)} images to train on (train.txt and aug.txt), {len(names['val'])} to validate"
    )
    print("train with: normreg train deeplabv3_wrs.py")


def names_of(voc: Path, sbd: Path) -> Mapping[str, list[str]]:
    """The images of VOC's train and val, and of SBD those in neither of them ('aug'), in alphabetical order."""
    train, val = (listed(voc / LISTS / f"{split}.txt") for split in ("train", "val"))
    aug = {*listed(sbd / "train.txt"), *listed(sbd / "val.txt")} - {*train} - {*val}
    return {"train": train, "val": val, "aug": sorted(aug)}


def listed(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split()


def convert(voc: Path, sbd: Path, name: str) -> bool:
    """Write the mask of one image if it is not there yet; True if it was written."""
    if (voc / MASKS / f"{name}.png").exists():
        check_mask(voc, MASKS, name)
        return False
    mat_file = sbd / "cls" / f"{name}.mat"
    labels = labels_in(mat_file)
    check_labels(labels, mat_file, picture_size(voc / "JPEGImages" / f"{name}.jpg"), KNOWN)
    save_mask(labels.astype(np.uint8), voc / MASKS / f"{name}.png")
    return True


def check_mask(voc: Path, folder: str, name: str) -> None:
    size = picture_size(voc / "JPEGImages" / f"{name}.jpg")
    try:
        read_labels(voc / folder / f"{name}.png", size, KNOWN)
    except SetError as error:
        raise SetError(f"{error}; remove it, and get or make it again") from error


def labels_in(mat_file: Path) -> NDArray[np.integer]:
    """The class of each pixel in one of SBD's files. A damaged file may kill the process."""
    try:
        return loadmat(mat_file, variable_names=["GTcls"])["GTcls"][0, 0]["Segmentation"]
    except Exception as error:  # scipy and zlib raise many kinds for a truncated file
        raise SetError(f"{mat_file} is no class file of SBD, or was cut off: {error!r}") from error


def write_list(path: Path, names: Sequence[str]) -> None:
    """Write the list of images, last of all: where it exists, the set is complete."""
    if path.exists() and sorted(listed(path)) != sorted(names):
        raise SetError(f"{path} is there and lists other images; move it away, and run this again")
    write_text(path, "".join(f"{name}\n" for name in names))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--voc", type=Path, default=Path("data/VOCdevkit/VOC2012"), help="folder of VOC 2012 (%(default)s)")
    add("--sbd", type=Path, default=Path("data/benchmark_RELEASE/dataset"), help="folder of SBD (%(default)s)")
    add_any_counts(parser)
    prepare(parser.parse_args(argv))
    return 0
