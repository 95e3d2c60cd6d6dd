"""shapes with boxes, in COCO format: {train,val}/NNNNNN.png, annotations/{train,val}.json"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from normreg_plugins.cli.data.mini_data.recipe import Recipe
from normreg_plugins.cli.data.mini_data.scenes import SHAPES, Scene, draw_scene

RECIPE = Recipe(kind="detection", train=400, val=100, size=160)


def draw(folder: Path, recipe: Recipe) -> str:
    (folder / "annotations").mkdir()
    train = _draw_split(folder, recipe, "train", recipe.train)
    val = _draw_split(folder, recipe, "val", recipe.val)
    return (
        f"drew {recipe.train} + {recipe.val} images (train + val) of {recipe.size} px "
        f"with {train} + {val} boxes of {', '.join(SHAPES)}"
    )


def _draw_split(folder: Path, recipe: Recipe, split: str, count: int) -> int:
    """Draw one split and return how many boxes it has."""
    (folder / split).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    size = recipe.size
    for index in range(count):
        scene = draw_scene(recipe.rng(("train", "val").index(split), index), size)
        name = f"{index:06d}.png"
        Image.fromarray(scene.image).save(folder / split / name)
        images.append({"id": index + 1, "file_name": name, "width": size, "height": size})
        annotations += _annotations(scene, index + 1, first_id=len(annotations) + 1)
    coco = {
        "info": {"description": f"drawn by tools/data/make_mini_data.py, seed {recipe.seed}"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(SHAPES)],
    }
    (folder / "annotations" / f"{split}.json").write_text(json.dumps(coco))
    return len(annotations)


def _annotations(scene: Scene, image_id: int, first_id: int) -> list[dict[str, Any]]:
    return [
        {
            "id": first_id + offset,
            "image_id": image_id,
            "category_id": thing.label + 1,
            "bbox": list(thing.box),
            "area": int(thing.mask.sum()),
            "iscrowd": 0,
            "segmentation": [],
        }
        for offset, thing in enumerate(scene.things)
    ]
