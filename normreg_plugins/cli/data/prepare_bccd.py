"""Prepare BCCD, blood cells with boxes, for mmdet and ultralytics: `normreg prepare-bccd RAW data/bccd`.

RAW is the folder BCCD of https://github.com/Shenggan/BCCD_Dataset, in the layout of PASCAL VOC:
  ImageSets/Main/{train,val,test}.txt          the images of each split, one name per line
  JPEGImages/NAME.jpg
  Annotations/NAME.xml                         one <object> with <name> and <bndbox> for each thing
The command writes
  images/{train,val,test}/NAME.jpg             copies of the pictures
  annotations/{train,val,test}.json            the boxes in COCO format
  labels/{train,val,test}/NAME.txt, data.yaml  the boxes for ultralytics
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
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
)

SOURCE = "https://github.com/Shenggan/BCCD_Dataset"
COUNTS = {"BCCD": (205, 87, 72)}
CLASSES = ("RBC", "WBC", "Platelets")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
Box = tuple[str, tuple[float, float, float, float]]
"""The class, and left, top, width and height in pixels."""


@dataclass
class Annotated:
    """An image with its boxes."""

    name: str
    size: tuple[int, int]
    boxes: list[Box]
    odd: Counter[str]
    """How often something was changed or left out."""


def prepare(args: argparse.Namespace) -> None:
    lists = {split: args.raw / "ImageSets" / "Main" / f"{split}.txt" for split in SPLITS}
    check_paths(dict.fromkeys(lists.values(), SOURCE))
    names = {split: path.read_text(encoding="utf-8").split() for split, path in lists.items()}
    check_counts(args.raw, names, COUNTS, SOURCE, args.any_counts)
    check_apart(names)
    read = read_all(partial(read_image, args.raw), chain(*names.values()), SOURCE)
    found = {split: [read[name] for name in some] for split, some in names.items()}
    seen = {label for image in read.values() for label, _ in image.boxes}
    classes = CLASSES if seen == set(CLASSES) else tuple(sorted(seen))
    note = {"made_by": "prepare_bccd", "classes": classes, "images": names}
    made = make_folder(args.out, note, lambda folder: write(found, args.raw, classes, folder))
    for split, images in found.items():
        labels = Counter(label for image in images for label, _ in image.boxes)
        print(f"{split}: {len(images)} images, {', '.join(f'{labels[name]} {name}' for name in classes)}")
        for what, number in sum((image.odd for image in images), Counter[str]()).most_common():
            print(f"odd: {split}: {number} {what}")
    print(made)


def read_image(raw: Path, name: str) -> Annotated:
    size, odd = picture_size(raw / "JPEGImages" / f"{name}.jpg"), Counter[str]()
    return Annotated(name, size, read_boxes(raw / "Annotations" / f"{name}.xml", size, odd), odd)


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


def write(found: Mapping[str, Sequence[Annotated]], raw: Path, classes: Sequence[str], folder: Path) -> None:
    (folder / "annotations").mkdir()
    for split, images in found.items():
        coco = to_coco(images, classes)
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(coco), encoding="utf-8")
        write_labels(coco, folder / "labels" / split)
        pictures = folder / "images" / split
        pictures.mkdir(parents=True)
        for image in images:
            shutil.copyfile(raw / "JPEGImages" / f"{image.name}.jpg", pictures / f"{image.name}.jpg")
    write_data_yaml(folder, SPLITS, classes)


def to_coco(found: Sequence[Annotated], classes: Sequence[str]) -> dict[str, Any]:
    """Image ids count from 1 in the order of the list; category ids count from 1 in the order of the classes."""
    numbers = {name: label + 1 for label, name in enumerate(classes)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, image in enumerate(found, start=1):
        width, height = image.size
        images.append({"id": index, "file_name": f"{image.name}.jpg", "width": width, "height": height})
        for label, box in image.boxes:
            annotations.append({"id": len(annotations) + 1, **coco_box(numbers[label], box, index)})
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def coco_box(category: int, box: Sequence[float], image: int) -> dict[str, Any]:
    """A box (left, top, width, height) as COCO annotation, without its id."""
    area = box[2] * box[3]
    about = {"image_id": image, "category_id": category, "bbox": [*box], "area": area}
    return {**about, "iscrowd": 0, "segmentation": []}


def write_labels(coco: Mapping[str, Any], folder: Path) -> None:
    """ultralytics' labels: a file for each image, with a line for each box: class, centre and size, as fractions."""
    folder.mkdir(parents=True)
    for image in coco["images"]:
        lines = []
        for box in (box for box in coco["annotations"] if box["image_id"] == image["id"]):
            (x, y, w, h), width, height = box["bbox"], image["width"], image["height"]
            shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            lines.append(" ".join([str(box["category_id"] - 1), *(f"{share:.6f}" for share in shares)]) + "\n")
        (folder / f"{Path(image['file_name']).stem}.txt").write_text("".join(lines), encoding="utf-8")


def write_data_yaml(folder: Path, splits: Sequence[str], classes: Sequence[str]) -> None:
    paths = "".join(f"{split}: images/{split}\n" for split in splits)
    names = "".join(f"  {label}: {name}\n" for label, name in enumerate(classes))
    (folder / "data.yaml").write_text(f"{paths}names:\n{names}", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    prepare(raw_parser(__doc__).parse_args(argv))
    return 0
