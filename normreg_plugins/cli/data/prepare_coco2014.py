"""Make the WRS paper's split of COCO 2014: 117,263 training and 5,000 validation images.

The paper trains on training and validation images together and evaluates on 5,000 validation images. This is the split
of the YOLOv3 code of its time. That code comes with a list of the 5,000 images ("5k") and trains on every other image
that has a label. There are 118,287 other images, and 117,263 of them have one.

It reads, in --root:
  train2014/ val2014/                                  the images, unpacked
  annotations/instances_{train,val}2014.json           the official annotations
  5k.txt                                               the list, one file name per line
and writes annotations/instances_trainvalno5k.json and annotations/instances_5k.json beside them. Some validation images
are drawn with their boxes, to contact_sheet.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from normreg_plugins.cli.data.contact_sheets import FILE, draw_boxes
from normreg_plugins.files import write_text

COCO_URL = "https://cocodataset.org/#download"
LIST_URL = "https://pjreddie.com/media/files/coco/5k.part"

Coco = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """How many images there must be. None means any number."""

    train: int | None = 82_783
    val: int | None = 40_504
    held_out: int | None = 5_000
    labelled: int | None = 117_263


ANY = Counts(None, None, None, None)


class SplitError(ValueError):
    """The files are not those that the split is made from."""


def merge(train: Coco, val: Coco) -> Coco:
    """Both sets as one. Each file name gets the folder of its image."""
    if train["categories"] != val["categories"]:
        raise SplitError("the two annotation files have different categories: one of them is not COCO 2014")
    images = [
        {**image, "file_name": f"{folder}/{image['file_name']}"}
        for folder, coco in (("train2014", train), ("val2014", val))
        for image in coco["images"]
    ]
    if len({image["id"] for image in images}) != len(images):
        raise SplitError("the two annotation files share image ids: they are not train and val")
    return {**train, "images": images, "annotations": train["annotations"] + val["annotations"]}


def held_out_names(text: str, expected: int | None) -> set[str]:
    """The file names in a list such as 5k.txt. Folders in its lines are left out."""
    names = [PurePosixPath(line.strip()).name for line in text.splitlines() if line.strip()]
    if len(set(names)) != len(names) or expected not in (None, len(names)):
        raise SplitError(f"the list names {len(set(names))} different images, not {expected or len(names)}")
    return {f"val2014/{name}" for name in names}


def split(union: Coco, held_out: set[str]) -> tuple[Coco, Coco]:
    """Training: images not held out that have a label. Validation: the images held out."""
    known = {image["file_name"] for image in union["images"]}
    if strangers := sorted(held_out - known):
        raise SplitError(f"the list names images that val2014 does not have, e.g. {strangers[0]}")
    labelled = {annotation["image_id"] for annotation in union["annotations"]}
    train = {image["id"] for image in union["images"] if image["file_name"] not in held_out and image["id"] in labelled}
    val = {image["id"] for image in union["images"] if image["file_name"] in held_out}
    return _only(union, train), _only(union, val)


def _only(coco: Coco, image_ids: set[int]) -> Coco:
    return {
        **coco,
        "images": [image for image in coco["images"] if image["id"] in image_ids],
        "annotations": [a for a in coco["annotations"] if a["image_id"] in image_ids],
    }


def _missing(root: Path) -> list[str]:
    """What to fetch, and where to put it."""
    annotations = "annotations_trainval2014.zip"
    wanted = {
        root / "annotations" / "instances_train2014.json": f"from {annotations}, {COCO_URL}",
        root / "annotations" / "instances_val2014.json": f"from {annotations}, {COCO_URL}",
        root / "train2014": f"from train2014.zip, {COCO_URL}",
        root / "val2014": f"from val2014.zip, {COCO_URL}",
        root / "5k.txt": f"the list of 5,000 validation images: curl -L -o {root / '5k.txt'} {LIST_URL}",
    }
    return [f"{path} is missing: {source}" for path, source in wanted.items() if not path.exists()]


def _read(path: Path, expected: int | None) -> Coco:
    print(f"reading {path} ...", flush=True)
    try:
        coco = json.loads(path.read_text(encoding="utf-8"))
        found = len(coco["images"])
    except (ValueError, KeyError, TypeError) as error:
        raise SplitError(f"{path} is no COCO annotation file, or was cut off: {error!r}") from error
    if expected not in (None, found):
        way_out = "get it again, or pass --any-counts if it is another set on purpose"
        raise SplitError(f"{path} has {found} images, COCO 2014 has {expected}: {way_out}")
    return coco


def _write(path: Path, coco: Coco) -> None:
    write_text(path, json.dumps(coco))
    print(f"wrote {path}: {len(coco['images'])} images, {len(coco['annotations'])} labels")


def prepare(root: Path, counts: Counts) -> None:
    if missing := _missing(root):
        raise SplitError("\n".join(missing))
    folder = root / "annotations"
    union = merge(
        _read(folder / "instances_train2014.json", counts.train),
        _read(folder / "instances_val2014.json", counts.val),
    )
    names = held_out_names((root / "5k.txt").read_text(encoding="utf-8"), counts.held_out)
    train, val = split(union, names)
    found = len(train["images"])
    if counts.labelled not in (None, found):
        print(f"note: {found} training images have a label; the paper says {counts.labelled}")
    _write(folder / "instances_trainvalno5k.json", train)
    _write(folder / "instances_5k.json", val)
    draw_boxes(val, root, root / FILE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/coco2014"), help="(%(default)s)")
    parser.add_argument("--any-counts", action="store_true", help="accept other numbers of images than COCO 2014 has")
    args = parser.parse_args()
    try:
        prepare(args.root, ANY if args.any_counts else Counts())
    except SplitError as error:
        print(error, file=sys.stderr)
        return 2
    print("train with: python tools/train.py configs/yolov3_wrs_coco2014.py")
    return 0
