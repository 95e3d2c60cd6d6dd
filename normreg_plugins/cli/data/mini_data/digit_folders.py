"""scikit-learn's real digits, as image folders: {train,val}/{0..9}/NNNN.png"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from normreg_plugins.cli.data.mini_data.recipe import Recipe

DIGITS = 1797
"""How many there are. They have 8 x 8 pixels and 17 shades of grey."""


@dataclass(frozen=True)
class DigitsRecipe(Recipe):
    """The seed shuffles the digits: training and validation images are never the same."""

    least_size: ClassVar[int] = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train + self.val > DIGITS:
            raise ValueError(f"there are {DIGITS} digits, {self.train} + {self.val} asked for")


RECIPE = DigitsRecipe(kind="classification", train=400, val=1397, size=16)


def draw(folder: Path, recipe: Recipe) -> str:
    try:
        from sklearn.datasets import load_digits  # imported here because the other kinds do without
    except ImportError as error:
        raise ValueError("the digits come with scikit-learn: pip install scikit-learn") from error
    digits = load_digits()
    order = np.random.default_rng(recipe.seed).permutation(DIGITS)
    for place, index in enumerate(order[: recipe.train + recipe.val]):
        split, number = ("train", place) if place < recipe.train else ("val", place - recipe.train)
        target = folder / split / str(digits.target[index]) / f"{number:04d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((digits.images[index] * 255 / 16).round().astype(np.uint8))
        grey.resize((recipe.size, recipe.size), Image.Resampling.BICUBIC).save(target)
    return f"wrote {recipe.train} + {recipe.val} images (train + val) of {recipe.size} px of 10 digits"
