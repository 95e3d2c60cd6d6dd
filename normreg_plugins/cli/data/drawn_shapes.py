"""Drawn scenes of flat shapes with exact masks and boxes, written in the layouts of COCO, YOLO and VOC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from normreg_plugins.cli.data.prepare_boxes import to_coco, write_data_yaml, write_labels
from normreg_plugins.crowd.data.images import Pixels
from normreg_plugins.evaluation.segmentation import IGNORED, save_mask

SPLITS = ("train", "val")
SHAPES = ("circle", "square", "triangle")
MOST_THINGS = 5
RADIUS = (0.1, 0.25)  # of the image side
CONTRAST = 80.0  # least difference of a shape's colour from the background it covers, in grey levels
TILT = 0.25  # radians, either way
TRIES = 30  # places tried for one shape before it is left out

Mask = NDArray[np.bool_]
PLACES = {"images": "JPEGImages", "masks": "SegmentationClass", "lists": "ImageSets/Segmentation"}


def rng_of(seed: int, split: str, index: int) -> np.random.Generator:
    """A random generator for each image. So a longer set begins with the images of a shorter one."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


@dataclass(frozen=True)
class Thing:
    label: int  # index into SHAPES
    mask: Mask

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width, height of the tightest box around the mask."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        x, y = int(columns[0]), int(rows[0])
        return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


@dataclass(frozen=True)
class Scene:
    image: Pixels  # height, width, RGB
    things: list[Thing]


def draw_scene(rng: np.random.Generator, size: int) -> Scene:
    """One to five shapes that do not touch, each with a random place, size, angle and colour."""
    canvas = _ground(rng, size)
    things: list[Thing] = []
    covered = np.zeros((size, size), dtype=bool)
    for _ in range(int(rng.integers(1, MOST_THINGS + 1))):
        thing = _place(rng, size, covered)
        if thing is not None:
            canvas[thing.mask] = _colour_against(rng, canvas[thing.mask].mean(0))
            x, y, width, height = thing.box
            covered[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2] = True
            things.append(thing)
    noisy = canvas + rng.normal(0, 3, canvas.shape)
    return Scene(noisy.clip(0, 255).astype(np.uint8), things)


def _ground(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """A background of soft blotches: a few random colours on a coarse grid, enlarged."""
    cells = int(rng.integers(2, 7))
    coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    calm = (0.3 * coarse + 0.7 * coarse.mean((0, 1))).astype(np.uint8)
    smooth = Image.fromarray(calm).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float64).copy()


def _place(rng: np.random.Generator, size: int, covered: Mask) -> Thing | None:
    label = int(rng.integers(len(SHAPES)))
    for _ in range(TRIES):
        radius = size * rng.uniform(*RADIUS)
        x, y = rng.uniform(radius, size - radius, 2)
        left, top, right, bottom = (int(end) for end in (x - radius, y - radius, x + radius + 1, y + radius + 1))
        if not covered[top:bottom, left:right].any():
            angle = rng.uniform(-TILT, TILT)
            return Thing(label, _mask(SHAPES[label], size, x, y, radius, angle))
    return None


def _mask(shape: str, size: int, x: float, y: float, radius: float, angle: float) -> Mask:
    """The pixels of a shape whose corners, or whose rim, are on a circle around x, y."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    u, v = (columns - x) / radius, (rows - y) / radius
    if shape == "circle":
        return np.asarray(u**2 + v**2 <= 1)
    sides = {"triangle": 3, "square": 4}[shape]
    normals = angle + np.pi / 2 + 2 * np.pi * np.arange(sides) / sides  # one side is at the bottom
    inside = np.cos(normals)[:, None, None] * u + np.sin(normals)[:, None, None] * v
    return np.asarray((inside <= np.cos(np.pi / sides)).all(0))


def _colour_against(rng: np.random.Generator, ground: NDArray[np.float64]) -> NDArray[np.float64]:
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.abs(colour - ground).mean() >= CONTRAST:
            return colour


def draw_coco(folder: Path, counts: Mapping[str, int], size: int, seed: int) -> str:
    """Shapes with boxes, in COCO format: {train,val}/NNNNNN.png, annotations/{train,val}.json"""
    (folder / "annotations").mkdir()
    train, val = (_draw_coco_split(folder, split, counts[split], size, seed) for split in SPLITS)
    return f"{train} + {val} boxes of {', '.join(SHAPES)}"


def _draw_coco_split(folder: Path, split: str, count: int, size: int, seed: int) -> int:
    """Draw one split and return how many boxes it has."""
    (folder / split).mkdir()
    drawn = []
    for index in range(count):
        scene = draw_scene(rng_of(seed, split, index), size)
        name = f"{index:06d}.png"
        Image.fromarray(scene.image).save(folder / split / name)
        drawn.append((name, (size, size), [(thing.label, thing.box, int(thing.mask.sum())) for thing in scene.things]))
    coco = to_coco(drawn, SHAPES)
    (folder / "annotations" / f"{split}.json").write_text(json.dumps(coco))
    return len(coco["annotations"])


def draw_yolo(folder: Path, counts: Mapping[str, int], size: int, seed: int) -> str:
    """The same set in YOLO layout, with the COCO annotations beside it: images/, labels/, annotations/, data.yaml"""
    made = draw_coco(folder, counts, size, seed)  # the same image ids, so one annotation file scores both hosts
    (folder / "images").mkdir()
    for split in SPLITS:
        (folder / split).rename(folder / "images" / split)
        coco = json.loads((folder / "annotations" / f"{split}.json").read_text())
        write_labels(coco, folder / "labels" / split)
    write_data_yaml(folder, SPLITS, SHAPES)
    return made


def draw_voc(folder: Path, counts: Mapping[str, int], size: int, seed: int) -> str:
    """Shapes with a class for each pixel, in VOC's layout: JPEGImages/, SegmentationClass/, ImageSets/Segmentation/"""
    for place in PLACES.values():
        (folder / place).mkdir(parents=True)
    covered = []
    for split in SPLITS:
        names = [f"{split}_{index:06d}" for index in range(counts[split])]
        for index, name in enumerate(names):
            scene = draw_scene(rng_of(seed, split, index), size)
            labels = label_map(scene)
            Image.fromarray(scene.image).save(folder / PLACES["images"] / f"{name}.jpg", quality=95)
            save_mask(labels, folder / PLACES["masks"] / f"{name}.png")
            covered.append(((labels > 0) & (labels != IGNORED)).mean())
        (folder / PLACES["lists"] / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return f"{', '.join(SHAPES)} on {100 * np.mean(covered):.0f} % of the pixels"


def label_map(scene: Scene) -> NDArray[np.uint8]:
    """0 for the background, 1 + label for a shape. As in VOC, a border around each shape is ignored in scores."""
    labels = np.zeros(scene.image.shape[:2], dtype=np.uint8)
    for thing in scene.things:
        labels[_grown(thing.mask)] = IGNORED
    for thing in scene.things:
        labels[thing.mask] = thing.label + 1
    return labels


def _grown(mask: Mask) -> Mask:
    """The mask, and the pixels that touch it."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    shifts = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(np.any(shifts, axis=0))
