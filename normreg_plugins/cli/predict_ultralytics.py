"""Save an ultralytics model's detections on the images of a COCO annotation file, for eval-map.

  DATA=data/mini/yolo
  normreg predict-ultralytics best.pt $DATA/annotations/val.json $DATA/images/val --out wrs.json
  normreg eval-map $DATA/annotations/val.json wrs.json

Images are matched by file name and classes by name, so the ids in the output are those of the annotation file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultralytics import YOLO
from ultralytics.utils import TQDM

from normreg_plugins.files import write_text


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = options.add_argument
    add("model", type=Path, help="checkpoint, such as best.pt")
    add("annotations", type=Path, help="COCO annotation file")
    add("images", type=Path, help="folder of its images")
    add("--out", type=Path, required=True, help="JSON file to write")
    add("--imgsz", type=int, help="image size (default: as trained)")
    add("--conf", type=float, default=0.001, help="minimum confidence (%(default)s, as in their validation)")
    add("--iou", type=float, default=0.7, help="NMS threshold (%(default)s, as in their validation)")
    add("--max-det", type=int, default=300, help="maximum detections per image (%(default)s)")
    add("--device", default="cpu")
    return options


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    args = (options := parser()).parse_args(argv)
    for path in (args.model, args.annotations, args.images):
        if not path.exists():
            options.error(f"there is no {path} (in {Path.cwd()})")
    if args.out.exists():
        options.error(f"{args.out} exists: choose another --out, or remove it")
    return args


def category_ids(model_names: dict[int, str], categories: list[dict[str, Any]]) -> dict[int, int]:
    """From the model's labels to the ids of the annotation file, by name."""
    known = {category["name"]: category["id"] for category in categories}
    if unknown := [name for name in model_names.values() if name not in known]:
        raise ValueError(f"the annotations have no class {', '.join(unknown[:5])}; they have {', '.join(known)}")
    return {label: known[name] for label, name in model_names.items()}


def find_images(coco: dict[str, Any], folder: Path) -> list[tuple[int, Path]]:
    found = [(image["id"], folder / image["file_name"]) for image in coco["images"]]
    if missing := [path for _, path in found if not path.is_file()]:
        raise ValueError(f"{len(missing)} of {len(found)} images are not there, such as {missing[0]}")
    return found


def detections(result: Any, image_id: int, ids: dict[int, int]) -> list[dict[str, Any]]:
    """One image's boxes in COCO's form: x, y, width, height in pixels of the image."""
    boxes = result.boxes
    rows = zip(boxes.xyxy.tolist(), boxes.cls.tolist(), boxes.conf.tolist(), strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": ids[int(label)],
            "bbox": [round(x, 3), round(y, 3), round(right - x, 3), round(bottom - y, 3)],
            "score": round(score, 5),
        }
        for (x, y, right, bottom), label, score in rows
    ]


def predict(args: argparse.Namespace) -> list[dict[str, Any]]:
    coco = json.loads(args.annotations.read_text())
    images = find_images(coco, args.images)
    model = YOLO(args.model)
    ids = category_ids(model.names, coco["categories"])
    settings = {name: getattr(args, name) for name in ("conf", "iou", "max_det", "device")}
    settings["imgsz"] = args.imgsz or model.overrides.get("imgsz", 640)
    found: list[dict[str, Any]] = []
    for image_id, path in TQDM(images, desc="predicting"):
        (result,) = model.predict(path, verbose=False, save=False, **settings)
        found += detections(result, image_id, ids)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    found = predict(args)
    write_text(args.out, json.dumps(found))
    print(f"{args.out}: {len(found)} detections")
    return 0
