"""Prepare BCCD, blood cells with boxes, for mmdet and ultralytics: `python tools/data/prepare_bccd.py RAW data/bccd`.

RAW is the folder BCCD of https://github.com/Shenggan/BCCD_Dataset, in the layout of PASCAL VOC. The command writes
  images/{train,val,test}/NAME.jpg             copies of the pictures
  annotations/{train,val,test}.json            the boxes in COCO format
  labels/{train,val,test}/NAME.txt, data.yaml  the boxes for ultralytics
  contact_sheet.png                            some pictures with their boxes: look at it
The splits are the official ones: 205, 87 and 72 images. Other numbers are refused, unless --any-counts says that
another detection set in the layout of PASCAL VOC is meant. Its classes are then sorted by name. A box is taken as the
corners that LabelImg wrote: nothing is subtracted from them. The folder appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from normreg_plugins.cli.data.contact_sheets import FILE, draw_boxes
from normreg_plugins.cli.data.voc_boxes import Annotated, odd_lines, read_split, split_names, to_coco, to_yolo
from normreg_plugins.cli.data.whole_set import SPLITS, check_apart, check_counts, make_whole, refuse_damaged, run

SOURCE = "https://github.com/Shenggan/BCCD_Dataset"
COUNTS = (205, 87, 72)
CLASSES = ("RBC", "WBC", "Platelets")


def prepare(raw: Path, out: Path, any_counts: bool) -> str:
    names = split_names(raw)
    if not any_counts:
        check_counts(raw, names, COUNTS, SOURCE)
    check_apart(names)
    found = {split: read_split(raw, names[split]) for split in SPLITS}
    refuse_damaged([message for some in found.values() for message in some.damaged], SOURCE)
    seen = set().union(*(some.classes() for some in found.values()))
    classes = CLASSES if seen == set(CLASSES) else tuple(sorted(seen))
    note = {"made_by": "tools/data/prepare_bccd.py", "classes": classes, "images": names}
    said = make_whole(out, note, partial(write, found, raw, classes))
    draw_boxes(to_coco(found["train"], classes), out / "images" / "train", out / FILE)
    return "\n".join([*odd_lines(found), *counts(found, classes), said])


def write(found: Mapping[str, Annotated], raw: Path, classes: Sequence[str], folder: Path) -> None:
    (folder / "annotations").mkdir()
    for split, some in found.items():
        coco = to_coco(some, classes)
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(coco), encoding="utf-8")
        pictures, labels = folder / "images" / split, folder / "labels" / split
        pictures.mkdir(parents=True)
        labels.mkdir(parents=True)
        for name, size, boxes in some.images:
            shutil.copyfile(raw / "JPEGImages" / f"{name}.jpg", pictures / f"{name}.jpg")
            (labels / f"{name}.txt").write_text(to_yolo(size, boxes, classes), encoding="utf-8")
    paths = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    listed = "".join(f"  {label}: {name}\n" for label, name in enumerate(classes))
    (folder / "data.yaml").write_text(f"{paths}names:\n{listed}", encoding="utf-8")


def counts(found: Mapping[str, Annotated], classes: Sequence[str]) -> list[str]:
    """A line for each split: its images, and its boxes of each class."""
    lines = []
    for split, some in found.items():
        labels = [name for _, _, boxes in some.images for name, _ in boxes]
        each = ", ".join(f"{labels.count(name)} {name}" for name in classes)
        lines.append(f"{split}: {len(some.images)} images, {each}")
    return lines


def main(argv: list[str] | None = None) -> int:
    return run(__doc__, argv, prepare)
