"""A few drawn pictures under the names and in the folders of COCO 2017, COCO 2014, VOC with SBD, and UCF-QNRF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from normreg_plugins.cli.data.mini_data import drawn_crowds
from normreg_plugins.cli.data.mini_data.drawn_masks import label_map
from normreg_plugins.cli.data.mini_data.recipe import Recipe, make_once
from normreg_plugins.cli.data.mini_data.scenes import Scene, draw_scene
from normreg_plugins.evaluation import save_mask

SIZE = 96
NOT_USED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
CATEGORIES = [number for number in range(1, 91) if number not in NOT_USED]
"""The ids of COCO's 80 classes."""


def scene(index: int) -> Scene:
    return draw_scene(np.random.default_rng([index]), SIZE)


def coco(root: Path, year: int, train: int, val: int) -> None:
    """{train,val}YEAR/*.jpg and annotations/instances_{train,val}YEAR.json, with all 80 classes."""
    from mmdet.datasets import CocoDataset

    names = CocoDataset.METAINFO["classes"]
    categories = [{"id": number, "name": name} for number, name in zip(CATEGORIES, names, strict=True)]
    (root / "annotations").mkdir(parents=True)
    for split, first, count in (("train", 1, train), ("val", 1 + train, val)):
        folder = f"{split}{year}"
        (root / folder).mkdir()
        images: list[dict[str, Any]] = []
        labels: list[dict[str, Any]] = []
        for index in range(first, first + count):
            drawn = scene(index)
            name = f"{index:012d}.jpg" if year == 2017 else f"COCO_{folder}_{index:012d}.jpg"
            Image.fromarray(drawn.image).save(root / folder / name)
            images.append({"id": index, "file_name": name, "width": SIZE, "height": SIZE})
            for thing in drawn.things:
                box, category = list(thing.box), CATEGORIES[thing.label]
                about = {"area": box[2] * box[3], "iscrowd": 0, "segmentation": []}
                label = {"id": len(labels) + 1000 * first, "image_id": index, "category_id": category, "bbox": box}
                labels.append(label | about)
        content = {"info": {}, "images": images, "annotations": labels, "categories": categories}
        (root / "annotations" / f"instances_{folder}.json").write_text(json.dumps(content))


def coco2014(root: Path, train: int, val: int, held_out: int) -> None:
    """COCO 2014 with the list of the images that the paper validates on."""
    coco(root, 2014, train, val)
    names = [path.name for path in sorted((root / "val2014").iterdir())[:held_out]]
    (root / "5k.txt").write_text("".join(f"/coco/images/val2014/{name}\n" for name in names))


def voc_aug(data: Path, train: int, val: int, added: int) -> None:
    """VOCdevkit/VOC2012 and benchmark_RELEASE/dataset. SBD also has labels for the images of VOC, as the true one."""
    voc, sbd = data / "VOCdevkit" / "VOC2012", data / "benchmark_RELEASE" / "dataset"
    lists = voc / "ImageSets" / "Segmentation"
    for folder in (voc / "JPEGImages", voc / "SegmentationClass", lists, sbd / "cls"):
        folder.mkdir(parents=True)
    names = [f"2008_{index:06d}" for index in range(train + val + added)]
    for index, name in enumerate(names):
        drawn = scene(index)
        Image.fromarray(drawn.image).save(voc / "JPEGImages" / f"{name}.jpg")
        labels = label_map(drawn)
        if index < train + val:
            save_mask(labels, voc / "SegmentationClass" / f"{name}.png")
        content = {"Segmentation": labels, "Boundaries": np.zeros((1, 1)), "CategoriesPresent": np.unique(labels)}
        savemat(sbd / "cls" / f"{name}.mat", {"GTcls": content}, do_compression=True)
    validated = names[train : train + val]
    trained = [name for name in names if name not in validated]
    for path, some in (
        (lists / "train.txt", names[:train]),
        (lists / "val.txt", validated),
        (sbd / "train.txt", trained),
        (sbd / "val.txt", validated),
    ):
        path.write_text("".join(f"{name}\n" for name in some))


def qnrf(raw: Path, train: int, test: int) -> None:
    """UCF-QNRF_ECCV18/{Train,Test}/img_NNNN.jpg and img_NNNN_ann.mat."""
    make_once(raw, Recipe("crowd", train=train, val=test, size=64), drawn_crowds.draw)
