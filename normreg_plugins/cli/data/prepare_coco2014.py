"""Make the WRS paper's split of COCO 2014: 117,263 training and 5,000 validation images.

The paper trains on training and validation images together and evaluates on 5,000 validation images. This is the split
of the YOLOv3 code of its time. That code comes with a list of the 5,000 images ("5k") and trains on every other image
that has a label. There are 118,287 other images, and 117,263 of them have one.

It reads, in --root:
  train2014/ val2014/                                  the images, unpacked
  annotations/instances_{train,val}2014.json           the official annotations
  5k.txt                                               the list, one file name per line
and writes annotations/instances_trainvalno5k.json and annotations/instances_5k.json beside them. Every image must be
there; the images are not opened.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from normreg_plugins.cli.data.prepared_folder import (
    SetError,
    add_any_counts,
    check_complete,
    check_counts,
    check_paths,
)
from normreg_plugins.files import read_json, write_text

COCO_URL = "https://cocodataset.org/#download"
LIST_URL = "https://pjreddie.com/media/files/coco/5k.part"
COUNTS = {"COCO 2014": (82_783, 40_504, 5_000)}
LABELLED = 117_263
Coco = dict[str, Any]


def prepare(args: argparse.Namespace) -> None:
    root, folder = args.root, args.root / "annotations"
    check_paths(
        {
            folder / "instances_train2014.json": f"annotations_trainval2014.zip, {COCO_URL}",
            folder / "instances_val2014.json": f"annotations_trainval2014.zip, {COCO_URL}",
            root / "train2014": f"train2014.zip, {COCO_URL}",
            root / "val2014": f"val2014.zip, {COCO_URL}",
            root / "5k.txt": f"the list of 5,000 validation images: curl -L -o {root / '5k.txt'} {LIST_URL}",
        }
    )
    sets = {split: read(folder / f"instances_{split}.json") for split in ("train2014", "val2014")}
    names = held_out_names((root / "5k.txt").read_text(encoding="utf-8"))
    found = {**{split: coco["images"] for split, coco in sets.items()}, "held-out": names}
    check_counts(root, found, COUNTS, COCO_URL, args.any_counts)
    for split, coco in sets.items():
        check_complete(root / split, [image["file_name"] for image in coco["images"]], f"{split}.zip, {COCO_URL}")
    train, val = split_off(merge(sets["train2014"], sets["val2014"]), names)
    if len(train["images"]) != LABELLED:
        print(f"note: {len(train['images'])} training images have a label; the paper says {LABELLED}")
    write(folder / "instances_trainvalno5k.json", train)
    write(folder / "instances_5k.json", val)
    print("train with: normreg train yolov3_wrs_coco2014.py")


def read(path: Path) -> Coco:
    print(f"reading {path} ...", flush=True)
    coco = read_json(path)
    parts = ("images", "annotations", "categories")
    if not isinstance(coco, dict) or not all(isinstance(coco.get(part), list) for part in parts):
        raise SetError(f"{path} is no COCO annotation file: it needs lists of {', '.join(parts)}")
    return coco


def merge(train: Coco, val: Coco) -> Coco:
    """Both sets as one. Each file name gets the folder of its image."""
    if train["categories"] != val["categories"]:
        raise SetError("the two annotation files have different categories: one of them is not COCO 2014")
    images = [
        {**image, "file_name": f"{folder}/{image['file_name']}"}
        for folder, coco in (("train2014", train), ("val2014", val))
        for image in coco["images"]
    ]
    if len({image["id"] for image in images}) != len(images):
        raise SetError("the two annotation files share image ids: they are not train and val")
    return {**train, "images": images, "annotations": train["annotations"] + val["annotations"]}


def held_out_names(text: str) -> set[str]:
    """The file names in a list such as 5k.txt. Folders in its lines are left out."""
    names = [PurePosixPath(line.strip()).name for line in text.splitlines() if line.strip()]
    return {f"val2014/{name}" for name in names}


def split_off(union: Coco, held_out: set[str]) -> tuple[Coco, Coco]:
    """Training: images not held out that have a label. Validation: the images held out."""
    known = {image["file_name"] for image in union["images"]}
    if strangers := sorted(held_out - known):
        raise SetError(f"5k.txt names images that val2014 does not have, e.g. {strangers[0]}")
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


def write(path: Path, coco: Coco) -> None:
    write_text(path, json.dumps(coco))
    print(f"wrote {path}: {len(coco['images'])} images, {len(coco['annotations'])} labels")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/coco2014"), help="(%(default)s)")
    add_any_counts(parser)
    prepare(parser.parse_args(argv))
    return 0
