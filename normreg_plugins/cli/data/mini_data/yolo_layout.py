"""the detection set in YOLO layout, with COCO annotations beside it: images/, labels/, annotations/, data.yaml"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from normreg_plugins.cli.data.mini_data import drawn_boxes
from normreg_plugins.cli.data.mini_data.recipe import Recipe
from normreg_plugins.cli.data.mini_data.scenes import SHAPES

RECIPE = replace(drawn_boxes.RECIPE, kind="yolo")


def draw(folder: Path, recipe: Recipe) -> str:
    """Draw the pixels, boxes and image ids of the COCO set, so that one annotation file scores both hosts."""
    made = drawn_boxes.draw(folder, recipe)
    (folder / "images").mkdir()
    for split in ("train", "val"):
        (folder / split).rename(folder / "images" / split)
        _write_labels(folder, split)
    names = "".join(f"  {label}: {name}\n" for label, name in enumerate(SHAPES))
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")
    return made


def _write_labels(folder: Path, split: str) -> None:
    """Write a text file for each image, with a line for each box: class, centre and size as fractions of the image."""
    coco = json.loads((folder / "annotations" / f"{split}.json").read_text())
    (folder / "labels" / split).mkdir(parents=True)
    lines: dict[int, list[str]] = {image["id"]: [] for image in coco["images"]}
    sides = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    for thing in coco["annotations"]:
        width, height = sides[thing["image_id"]]
        x, y, w, h = thing["bbox"]
        shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        line = " ".join([str(thing["category_id"] - 1), *(f"{share:.6f}" for share in shares)])
        lines[thing["image_id"]].append(line)
    for image in coco["images"]:
        label_file = folder / "labels" / split / f"{Path(image['file_name']).stem}.txt"
        label_file.write_text("".join(f"{line}\n" for line in lines[image["id"]]))
