"""shapes with a class for each pixel, in VOC's layout: JPEGImages/, SegmentationClass/, ImageSets/Segmentation/"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from normreg_plugins.cli.data.mini_data.recipe import Recipe
from normreg_plugins.cli.data.mini_data.scenes import SHAPES, Mask, Scene, draw_scene
from normreg_plugins.evaluation import IGNORED, save_mask

RECIPE = Recipe(kind="segmentation", train=160, val=40, size=96)
PLACES = {"images": "JPEGImages", "masks": "SegmentationClass", "lists": "ImageSets/Segmentation"}


def draw(folder: Path, recipe: Recipe) -> str:
    for place in PLACES.values():
        (folder / place).mkdir(parents=True)
    shares = {split: _draw_split(folder, recipe, split) for split in ("train", "val")}
    return (
        f"drew {recipe.train} + {recipe.val} images (train + val) of {recipe.size} px with {', '.join(SHAPES)} "
        f"on {100 * shares['train']:.0f} % of the pixels"
    )


def _draw_split(folder: Path, recipe: Recipe, split: str) -> float:
    """Draw one split and return the share of its pixels that a shape covers."""
    count: int = getattr(recipe, split)
    names = [f"{split}_{index:06d}" for index in range(count)]
    covered = []
    for index, name in enumerate(names):
        scene = draw_scene(recipe.rng(("train", "val").index(split), index), recipe.size)
        labels = label_map(scene)
        Image.fromarray(scene.image).save(folder / PLACES["images"] / f"{name}.jpg", quality=95)
        save_mask(labels, folder / PLACES["masks"] / f"{name}.png")
        covered.append(((labels > 0) & (labels != IGNORED)).mean())
    (folder / PLACES["lists"] / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return float(np.mean(covered))


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
