"""Pictures of what a prepare_* command made: some images of the set with their boxes, masks or points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normreg_plugins.cli.data.contact_sheet import Labelled, plot_sheet
from normreg_plugins.crowd.data import Record, read_rgb
from normreg_plugins.evaluation import read_mask, spread
from normreg_plugins.files import read_numbers

SHOWN = 12
FILE = "contact_sheet.png"


def draw_crowds(records: Mapping[str, Sequence[Record]], folder: Path) -> None:
    """Images of all splits, with their points."""
    ready = [record for some in records.values() for record in some if "error" not in record]
    images = []
    for record in _spread(ready):
        picture = folder / record["picture"]
        points = read_numbers(picture.with_suffix(".npy"), columns=2)[:, :2]
        title = f"{record['picture'].split('.')[0]}: {record['count']} points"
        images.append(Labelled(title, read_rgb(picture), points=points))
    _write(images, folder / FILE)


def draw_masks(names: Sequence[str], images: Path, masks: Path, path: Path) -> None:
    """Images with their masks over them."""
    pictures = [images / f"{name}{suffix}" for name in names for suffix in (".jpg", ".png")]
    found = _spread([picture for picture in pictures if picture.is_file()])
    _write([Labelled(p.stem, read_rgb(p), mask=read_mask(masks / f"{p.stem}.png")) for p in found], path)


def draw_boxes(coco: Mapping[str, Any], images: Path, path: Path) -> None:
    """Images with their boxes and the names of the classes."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    found = _spread([image for image in coco["images"] if (images / image["file_name"]).is_file()])
    boxes: dict[int, list[Any]] = {image["id"]: [] for image in found}
    for box in coco["annotations"]:
        if box["image_id"] in boxes:
            boxes[box["image_id"]].append((box["bbox"], names[box["category_id"]]))
    labelled = [
        Labelled(Path(image["file_name"]).stem, read_rgb(images / image["file_name"]), boxes=boxes[image["id"]])
        for image in found
    ]
    _write(labelled, path)


def draw_titled(pictures: Sequence[tuple[str, np.ndarray]], path: Path) -> None:
    """Pictures with their titles, all of them."""
    _write([Labelled(title, picture) for title, picture in pictures], path)


def draw_classes(lines: Sequence[str], images: Path, names: Sequence[str], path: Path) -> None:
    """Some images with the names of their classes, from lines of a file name and a number."""
    found = [line.rsplit(" ", 1) for line in _spread(lines)]
    draw_titled([(names[int(label)], read_rgb(images / name)) for name, label in found], path)


def _spread(some: Sequence[Any]) -> list[Any]:
    return [some[place] for place in spread(len(some), SHOWN)]


def _write(images: Sequence[Labelled], path: Path) -> None:
    if images:
        plot_sheet(images, path)
        print(f"picture: {path}")
