"""A few drawn pictures under the names and in the folders of the data sets that the project prepares or trains on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import loadmat, savemat

from normreg_plugins.cli.data.drawn_shapes import Scene, draw_scene, label_map
from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.evaluation.segmentation import save_mask

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


def voc_boxes(devkit: Path, train: dict[int, int], test: int) -> None:
    """VOCdevkit/VOC{2007,2012}/{JPEGImages,Annotations,ImageSets/Main}: so many to train on, and so many to test."""
    names = ("aeroplane", "bicycle", "bird", "boat")
    for year, number in train.items():
        root = devkit / f"VOC{year}"
        lists = root / "ImageSets" / "Main"
        for folder in (root / "JPEGImages", root / "Annotations", lists):
            folder.mkdir(parents=True, exist_ok=True)
        for index in range(number + test):
            drawn, name = scene(year + index), f"{year}_{index:06d}"
            Image.fromarray(drawn.image).save(root / "JPEGImages" / f"{name}.jpg")
            things = [(names[thing.label], _corners(thing.box)) for thing in drawn.things]
            (root / "Annotations" / f"{name}.xml").write_text(annotation(things, SIZE, SIZE))
        for which, some in (("trainval", range(number)), ("test", range(number, number + test))):
            (lists / f"{which}.txt").write_text("".join(f"{year}_{index:06d}\n" for index in some))


def _corners(box: Sequence[float]) -> tuple[int, ...]:
    x, y, width, height = map(round, box)
    return x + 1, y + 1, x + width, y + height


def qnrf(raw: Path, train: int = 6, test: int = 2) -> None:
    """UCF-QNRF_ECCV18/{Train,Test}/img_NNNN.jpg and img_NNNN_ann.mat."""
    make_mini_set("crowd", raw, train=train, val=test, size=64)


BOXES = {
    "a": [("RBC", (2, 3, 12, 9)), ("WBC", (20, 10, 39, 29))],
    "b": [("Platelets", (5, 5, 9, 9))],
    "c": [("RBC", (0, 0, 45, 12)), ("RBC", (7, 7, 7, 7))],  # one beyond the right edge, one without area
}
SPLITS = {"train": ["a", "c"], "val": ["b"], "test": ["d"]}
WIDTH, HEIGHT = 40, 30


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def annotation(things: Sequence[tuple[str, tuple[int, ...]]], width: int = WIDTH, height: int = HEIGHT) -> str:
    corners = ("xmin", "ymin", "xmax", "ymax")
    objects = ""
    for name, box in things:
        sides = "".join(f"<{corner}>{at}</{corner}>" for corner, at in zip(corners, box, strict=True))
        objects += f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size}{objects}</annotation>"


def bccd(root: Path) -> Path:
    """Four pictures: two to train on, one to validate, one to test."""
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (root / "Annotations").mkdir()
    for split, names in SPLITS.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for seed, name in enumerate(names):
            picture(root / "JPEGImages" / f"{name}.jpg", seed)
            (root / "Annotations" / f"{name}.xml").write_text(annotation(BOXES.get(name, BOXES["a"])))
    return root


def labels(name: str, width: int = WIDTH) -> np.ndarray:
    """A mask of its own for each name, with every class of CamVid and void in it."""
    drawn = np.random.default_rng([*name.encode()]).integers(0, 12, (HEIGHT, width)).astype(np.uint8)
    drawn[0, :12] = range(12)
    return drawn


def camvid(root: Path) -> Path:
    for split, names in SPLITS.items():
        for seed, name in enumerate(names):
            picture(root / split / f"{name}.png", seed)
            (root / f"{split}annot").mkdir(exist_ok=True)
            Image.fromarray(labels(name)).save(root / f"{split}annot" / f"{name}.png")
    return root


def dots(number: int) -> list[tuple[int, int]]:
    """So many (x, y), apart from each other."""
    return [(4 + 8 * (index % 8), 5 + 9 * (index // 8)) for index in range(number)]


def dot_mask(path: Path, points: Sequence[tuple[int, int]], side: int = 72) -> None:
    marked = np.zeros((side, side), dtype=bool)
    for x, y in points:
        marked[y, x] = True
    Image.fromarray(marked).save(path)


def mbm(root: Path, number: int = 9) -> Path:
    """Picture i of the set has 5 + i dots."""
    for index in range(number):
        name = f"BM_{index // 4:04d}_01"
        picture(root / f"{name}_{index % 4:03d}.png", index, (72, 72))
        dot_mask(root / f"{name}_dots_{index % 4:03d}.png", dots(5 + index))
    return root


def shanghaitech_file(path, points):
    """image_info is a cell that holds a struct that holds `location` and `number`."""
    info = np.empty((1, 1), dtype=[("location", object), ("number", object)])
    info["location"][0, 0] = points
    info["number"][0, 0] = len(points)
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = info
    savemat(path, {"image_info": cell})
    return path


def qnrf_file(path, **content):
    savemat(path, content)
    return path


def shanghaitech(root: Path, train: int = 6, test: int = 2) -> None:
    """{train_data,test_data}/images/IMG_N.jpg and ground_truth/GT_IMG_N.mat, with the crowds of `qnrf`."""
    qnrf(root / "qnrf", train, test)
    for old, new in (("Train", "train_data"), ("Test", "test_data")):
        (root / new / "images").mkdir(parents=True)
        (root / new / "ground_truth").mkdir()
        for number, path in enumerate(sorted((root / "qnrf" / old).glob("*.jpg")), start=1):
            (root / new / "images" / f"IMG_{number}.jpg").write_bytes(path.read_bytes())
            points = loadmat(path.with_name(f"{path.stem}_ann.mat"))["annPoints"]
            shanghaitech_file(root / new / "ground_truth" / f"GT_IMG_{number}.mat", points)


def tinyimagenet(root: Path) -> None:
    """Two classes, two training and one validation image of each."""
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("n02\nn01\n")
    for seed, wnid in enumerate(("n01", "n02")):
        for number in (0, 1):
            picture(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", seed, (64, 64))
        picture(root / "val" / "images" / f"val_{seed}.JPEG", seed, (64, 64))
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n")
