"""Reads detection annotations in the layout of PASCAL VOC, and writes them for mmdet (COCO) and ultralytics (YOLO).

raw/ImageSets/Main/{train,val,test}.txt    the images of each split, one name per line
raw/JPEGImages/NAME.jpg
raw/Annotations/NAME.xml                   one <object> with <name> and <bndbox> for each thing
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from normreg_plugins.cli.data.whole_set import SPLITS, SetError, noted, picture_size

Box = tuple[str, tuple[float, float, float, float]]
"""The class, and left, top, width and height in pixels."""
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class Annotated:
    """The images of a split with their boxes."""

    images: list[tuple[str, tuple[int, int], list[Box]]] = field(default_factory=list)  # name, (width, height), boxes
    odd: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)

    def classes(self) -> set[str]:
        return {name for _, _, boxes in self.images for name, _ in boxes}


def split_names(raw: Path) -> dict[str, list[str]]:
    folder = raw / "ImageSets" / "Main"
    lists = {split: folder / f"{split}.txt" for split in SPLITS}
    if lacking := [str(path) for path in lists.values() if not path.is_file()]:
        raise SetError(f"{raw} is no detection set in the layout of PASCAL VOC: {', '.join(lacking)} is missing")
    return {split: path.read_text(encoding="utf-8").split() for split, path in lists.items()}


def read_split(raw: Path, names: Sequence[str]) -> Annotated:
    """Read every image and annotation file of a split. What is damaged is listed, and the rest is read all the same."""
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
        said = tuple(int(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        raw = [_corners(thing) for thing in root.findall("object")]
    except (ElementTree.ParseError, ValueError) as error:
        raise SetError(f"{path} is no annotation of PASCAL VOC, or was cut off: {error}") from error
    if said != size:
        raise SetError(f"{path} is for an image of {said[0]} x {said[1]} pixels, its picture has {size[0]} x {size[1]}")
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


def to_coco(found: Annotated, classes: Sequence[str]) -> dict[str, Any]:
    """Image ids count from 1 in the order of the list; category ids count from 1 in the order of the classes."""
    numbers = {name: label + 1 for label, name in enumerate(classes)}
    images = [
        {"id": index, "file_name": f"{name}.jpg", "width": width, "height": height}
        for index, (name, (width, height), _) in enumerate(found.images, start=1)
    ]
    things = [(index, *box) for index, (_, _, boxes) in enumerate(found.images, start=1) for box in boxes]
    annotations = [
        {
            "id": number,
            "image_id": index,
            "category_id": numbers[name],
            "bbox": [*box],
            "area": box[2] * box[3],
            "iscrowd": 0,
            "segmentation": [],
        }
        for number, (index, name, box) in enumerate(things, start=1)
    ]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def to_yolo(size: tuple[int, int], boxes: Sequence[Box], classes: Sequence[str]) -> str:
    """A line for each box: class, centre and size as fractions of the image."""
    width, height = size
    lines = []
    for name, (x, y, w, h) in boxes:
        shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        lines.append(" ".join([str(classes.index(name)), *(f"{share:.6f}" for share in shares)]) + "\n")
    return "".join(lines)


def odd_lines(found: Mapping[str, Annotated]) -> list[str]:
    return [
        f"odd: {split}: {number} {what}"
        for split, some in found.items()
        for what, number in some.odd.most_common()
        if number
    ]
