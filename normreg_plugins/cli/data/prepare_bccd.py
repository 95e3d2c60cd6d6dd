"""Prepare BCCD, blood cells with boxes, for mmdet and ultralytics: `python tools/data/prepare_bccd.py RAW data/bccd`.

RAW is the folder BCCD of https://github.com/Shenggan/BCCD_Dataset, in the layout of PASCAL VOC:
  ImageSets/Main/{train,val,test}.txt          the images of each split, one name per line
  JPEGImages/NAME.jpg
  Annotations/NAME.xml                         one <object> with <name> and <bndbox> for each thing
The command writes
  images/{train,val,test}/NAME.jpg             copies of the pictures
  annotations/{train,val,test}.json            the boxes in COCO format
  labels/{train,val,test}/NAME.txt, data.yaml  the boxes for ultralytics
  contact_sheet.png                            some pictures with their boxes: look at it
The splits are the official ones: 205, 87 and 72 images. --any-counts accepts another detection set in the layout of
PASCAL VOC; its classes are sorted by name. A box is taken as the corners that LabelImg wrote: nothing is subtracted
from them. The folder appears complete or not at all.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from normreg_plugins.cli.data.contact_sheets import FILE, draw_boxes
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

SOURCE = "https://github.com/Shenggan/BCCD_Dataset"
COUNTS = {"BCCD": (205, 87, 72)}
CLASSES = ("RBC", "WBC", "Platelets")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
Box = tuple[str, tuple[float, float, float, float]]
"""The class, and left, top, width and height in pixels."""


@dataclass
class Annotated:
    """The images of a split with their boxes."""

    images: list[tuple[str, tuple[int, int], list[Box]]] = field(default_factory=list)  # name, (width, height), boxes
    odd: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)

    def labels(self) -> Counter[str]:
        return Counter(name for _, _, boxes in self.images for name, _ in boxes)


def prepare(args: argparse.Namespace) -> None:
    lists = {split: args.raw / "ImageSets" / "Main" / f"{split}.txt" for split in SPLITS}
    check_paths(dict.fromkeys(lists.values(), SOURCE))
    names = {split: path.read_text(encoding="utf-8").split() for split, path in lists.items()}
    if not args.any_counts:
        check_counts(args.raw, {split: len(some) for split, some in names.items()}, COUNTS, SOURCE)
    check_apart(names)
    found = {split: read_split(args.raw, names[split]) for split in SPLITS}
    refuse_damaged([message for some in found.values() for message in some.damaged], SOURCE)
    seen = set().union(*(some.labels() for some in found.values()))
    classes = CLASSES if seen == set(CLASSES) else tuple(sorted(seen))
    note = {"made_by": "prepare_bccd", "classes": classes, "images": names}
    made = make_folder(args.out, note, lambda folder: write(found, args.raw, classes, folder))
    draw_boxes(to_coco(found["train"], classes), args.out / "images" / "train", args.out / FILE)
    for split, some in found.items():
        each = ", ".join(f"{some.labels()[name]} {name}" for name in classes)
        print(f"{split}: {len(some.images)} images, {each}")
        for what, number in some.odd.most_common():
            if number:
                print(f"odd: {split}: {number} {what}")
    print(made)


def read_split(raw: Path, names: Sequence[str]) -> Annotated:
    """Read every image and annotation file of a split. What is damaged is listed, and the rest is read anyway."""
    found = Annotated()
    for name in names:
        with noted(found.damaged):
            size = picture_size(raw / "JPEGImages" / f"{name}.jpg")
            boxes = read_boxes(raw / "Annotations" / f"{name}.xml", size, found.odd)
            found.images.append((name, size, boxes))
    return found


def read_boxes(path: Path, size: tuple[int, int], odd: Counter[str]) -> list[Box]:
    """The boxes of one annotation file.

    A box is cut at the edge of the image. A box without area is left out. Both are counted in `odd`.
    """
    if not path.is_file():
        raise SetError(f"{path} is missing")
    try:
        root = ElementTree.parse(path).getroot()
        stated = tuple(int(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        raw = [_corners(thing) for thing in root.findall("object")]
    except (ElementTree.ParseError, ValueError) as error:
        raise SetError(f"{path} is no annotation of PASCAL VOC, or was cut off: {error}") from error
    if stated != size:
        raise SetError(f"{path}: image of {stated[0]} x {stated[1]} pixels, but the picture has {size[0]} x {size[1]}")
    boxes: list[Box] = []
    for name, corners in raw:
        left, top, right, bottom = (min(max(at, 0.0), side) for at, side in zip(corners, size * 2, strict=True))
        odd["boxes cut at the edge"] += (left, top, right, bottom) != corners
        if right > left and bottom > top:
            boxes.append((name, (left, top, right - left, bottom - top)))
        else:
            odd["boxes without area, left out"] += 1
    odd["images without a box"] += not boxes
    return boxes


def _corners(thing: ElementTree.Element) -> tuple[str, tuple[float, ...]]:
    name = thing.findtext("name", "").strip()
    if not name:
        raise ValueError("an object has no name")
    return name, tuple(float(thing.findtext(f"bndbox/{corner}", "")) for corner in CORNERS)


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
            lines = [yolo_line(classes.index(label), box, size) for label, box in boxes]
            (labels / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    paths = "".join(f"{split}: images/{split}\n" for split in SPLITS)
    listed = "".join(f"  {label}: {name}\n" for label, name in enumerate(classes))
    (folder / "data.yaml").write_text(f"{paths}names:\n{listed}", encoding="utf-8")


def to_coco(found: Annotated, classes: Sequence[str]) -> dict[str, Any]:
    """Image ids count from 1 in the order of the list; category ids count from 1 in the order of the classes."""
    numbers = {name: label + 1 for label, name in enumerate(classes)}
    images, annotations = [], []
    for index, (name, (width, height), boxes) in enumerate(found.images, start=1):
        images.append({"id": index, "file_name": f"{name}.jpg", "width": width, "height": height})
        annotations += [coco_box(numbers[label], box, index) for label, box in boxes]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def coco_box(category: int, box: Sequence[float], image: int) -> dict[str, Any]:
    """A box (left, top, width, height) as COCO annotation, without its id."""
    area = box[2] * box[3]
    about = {"image_id": image, "category_id": category, "bbox": [*box], "area": area}
    return {**about, "iscrowd": 0, "segmentation": []}


def yolo_line(label: int, box: Sequence[float], size: tuple[int, int]) -> str:
    """Class, centre and size of a box (left, top, width, height), as fractions of the image."""
    (x, y, w, h), (width, height) = box, size
    shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
    return " ".join([str(label), *(f"{share:.6f}" for share in shares)]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    return run(raw_parser(__doc__).parse_args(argv), prepare)
