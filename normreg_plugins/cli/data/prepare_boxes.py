"""Prepare boxes for mmdet and ultralytics: BCCD or another set in PASCAL VOC's layout, and the split of COCO 2014."""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from normreg_plugins.cli.data import prepared_folder as sets
from normreg_plugins.files import read_json, write_text

BCCD = """Prepare BCCD, blood cells with boxes, for mmdet and ultralytics: `normreg prepare-bccd RAW data/bccd`.

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
BCCD_SOURCE = "https://github.com/Shenggan/BCCD_Dataset"
BCCD_COUNTS = {"BCCD": (205, 87, 72)}
BCCD_CLASSES = ("RBC", "WBC", "Platelets")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
Box = tuple[str, tuple[float, float, float, float]]
"""The class, and left, top, width and height in pixels."""
Labelled = tuple[int, Sequence[float], float]
"""The number of the class, the box and its area."""


@dataclass
class Annotated:
    """An image with its boxes."""

    name: str
    size: tuple[int, int]
    boxes: list[Box]
    odd: Counter[str]
    """How often something was changed or left out."""


def prepare_bccd(args: argparse.Namespace) -> None:
    lists = {split: args.raw / "ImageSets" / "Main" / f"{split}.txt" for split in sets.SPLITS}
    sets.check_paths(dict.fromkeys(lists.values(), BCCD_SOURCE))
    names = {split: path.read_text(encoding="utf-8").split() for split, path in lists.items()}
    sets.check_counts(args.raw, names, BCCD_COUNTS, BCCD_SOURCE, args.any_counts)
    sets.check_apart(names)
    read = sets.read_all(partial(read_image, args.raw), chain(*names.values()), BCCD_SOURCE)
    found = {split: [read[name] for name in some] for split, some in names.items()}
    seen = {label for image in read.values() for label, _ in image.boxes}
    classes = BCCD_CLASSES if seen == set(BCCD_CLASSES) else tuple(sorted(seen))
    note = {"made_by": "prepare_bccd", "classes": classes, "images": names}
    made = sets.make_folder(args.out, note, lambda folder: write(found, args.raw, classes, folder))
    for split, images in found.items():
        labels = Counter(label for image in images for label, _ in image.boxes)
        print(f"{split}: {len(images)} images, {', '.join(f'{labels[name]} {name}' for name in classes)}")
        for what, number in sum((image.odd for image in images), Counter[str]()).most_common():
            print(f"odd: {split}: {number} {what}")
    print(made)


def read_image(raw: Path, name: str) -> Annotated:
    size, odd = sets.picture_size(raw / "JPEGImages" / f"{name}.jpg"), Counter[str]()
    return Annotated(name, size, read_boxes(raw / "Annotations" / f"{name}.xml", size, odd), odd)


def read_boxes(path: Path, size: tuple[int, int], odd: Counter[str]) -> list[Box]:
    """The boxes of one annotation file.

    A box is cut at the edge of the image. A box without area is left out. Both are counted in `odd`.
    """
    try:
        root = ElementTree.parse(path).getroot()
        raw = [_corners(thing) for thing in root.findall("object")]
    except (ElementTree.ParseError, ValueError) as error:
        raise sets.SetError(f"{path} is no annotation of PASCAL VOC, or was cut off: {error}") from error
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
        boxes = {image.name: [(classes.index(name), b, b[2] * b[3]) for name, b in image.boxes] for image in images}
        coco = to_coco(((f"{image.name}.jpg", image.size, boxes[image.name]) for image in images), classes)
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(coco), encoding="utf-8")
        write_labels(coco, folder / "labels" / split)
        pictures = folder / "images" / split
        pictures.mkdir(parents=True)
        for image in images:
            shutil.copyfile(raw / "JPEGImages" / f"{image.name}.jpg", pictures / f"{image.name}.jpg")
    write_data_yaml(folder, sets.SPLITS, classes)


def to_coco(found: Iterable[tuple[str, tuple[int, int], Sequence[Labelled]]], classes: Sequence[str]) -> dict[str, Any]:
    """COCO's annotations of images: file, size and boxes of each. All ids count from 1, in the order of the lists."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, (file, (width, height), boxes) in enumerate(found, start=1):
        images.append({"id": image, "file_name": file, "width": width, "height": height})
        for label, box, area in boxes:
            about = {"image_id": image, "category_id": label + 1, "bbox": [*box], "area": area}
            annotations.append({"id": len(annotations) + 1, **about, "iscrowd": 0, "segmentation": []})
    categories = [{"id": label, "name": name} for label, name in enumerate(classes, start=1)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


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


def bccd(argv: Sequence[str] | None = None) -> int:
    prepare_bccd(sets.raw_parser(BCCD).parse_args(argv))
    return 0


COCO2014 = """Make the WRS paper's split of COCO 2014: 117,263 training and 5,000 validation images.

The paper trains on training and validation images together and evaluates on 5,000 validation images. This is the split
of the YOLOv3 code of its time. That code comes with a list of the 5,000 images ("5k") and trains on every other image
that has a label. There are 118,287 other images, and 117,263 of them have one.

It reads, in --root:
  train2014/ val2014/                                  the images, unpacked
  annotations/instances_{train,val}2014.json           the official annotations
  5k.txt                                               the list, one file name per line; any copy of darknet's 5k.part
and writes annotations/instances_trainvalno5k.json and annotations/instances_5k.json beside them. Every image must be
there; the images are not opened.
"""
COCO_URL = "https://cocodataset.org/#download"
LIST_URL = "https://pjreddie.com/media/files/coco/5k.part"
COCO_COUNTS = {"COCO 2014": (82_783, 40_504, 5_000)}
LABELLED = 117_263
Coco = dict[str, Any]


def prepare_coco2014(args: argparse.Namespace) -> None:
    root, folder = args.root, args.root / "annotations"
    annotations = {split: folder / f"instances_{split}.json" for split in ("train2014", "val2014")}
    archives = dict.fromkeys(annotations.values(), f"annotations_trainval2014.zip, {COCO_URL}")
    folders = {root / split: f"{split}.zip, {COCO_URL}" for split in annotations}
    names_of = f"the list of 5,000 validation images: curl -L -o {root / '5k.txt'} {LIST_URL}"
    sets.check_paths({**archives, **folders, root / "5k.txt": names_of})
    parts = {split: read_coco(path) for split, path in annotations.items()}
    names = held_out_names((root / "5k.txt").read_text(encoding="utf-8"))
    found = {**{split: coco["images"] for split, coco in parts.items()}, "held-out": names}
    sets.check_counts(root, found, COCO_COUNTS, COCO_URL, args.any_counts)
    for split, coco in parts.items():
        pictures = (root / split / image["file_name"] for image in coco["images"])
        sets.check_paths(dict.fromkeys(pictures, f"{split}.zip, {COCO_URL}"))
    train, val = split_off(parts, names)
    if len(train["images"]) != LABELLED:
        print(f"note: {len(train['images'])} training images have a label; the paper says {LABELLED}")
    write_coco(folder / "instances_trainvalno5k.json", train)
    write_coco(folder / "instances_5k.json", val)
    print("train with: normreg train yolov3_wrs_coco2014.py")


def read_coco(path: Path) -> Coco:
    print(f"reading {path} ...", flush=True)
    coco = read_json(path)
    if not isinstance(coco, dict) or not {"images", "annotations", "categories"} <= coco.keys():
        raise sets.SetError(f"{path} is no COCO annotation file")
    return coco


def held_out_names(text: str) -> set[str]:
    """The file names in a list such as 5k.txt. Folders in its lines are left out."""
    names = [PurePosixPath(line.strip()).name for line in text.splitlines() if line.strip()]
    return {f"val2014/{name}" for name in names}


def split_off(parts: Mapping[str, Coco], held_out: set[str]) -> tuple[Coco, Coco]:
    """Training: images not held out that have a label. Validation: the images held out."""
    # each file name gets the folder of its image
    images = {f"{folder}/{image['file_name']}": image for folder, coco in parts.items() for image in coco["images"]}
    if strangers := sorted(held_out - images.keys()):
        raise sets.SetError(f"5k.txt names images that val2014 does not have, e.g. {strangers[0]}")
    annotations = [annotation for coco in parts.values() for annotation in coco["annotations"]]
    labelled = {annotation["image_id"] for annotation in annotations}

    def only(names: set[str]) -> Coco:
        chosen = [{**image, "file_name": name} for name, image in images.items() if name in names]
        ids = {image["id"] for image in chosen}
        mine = [annotation for annotation in annotations if annotation["image_id"] in ids]
        return {**parts["train2014"], "images": chosen, "annotations": mine}

    train = {name for name, image in images.items() if image["id"] in labelled}
    return only(train - held_out), only(held_out)


def write_coco(path: Path, coco: Coco) -> None:
    write_text(path, json.dumps(coco))
    print(f"wrote {path}: {len(coco['images'])} images, {len(coco['annotations'])} labels")


def coco2014(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=COCO2014, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/coco2014"), help="(%(default)s)")
    sets.add_any_counts(parser)
    prepare_coco2014(parser.parse_args(argv))
    return 0
