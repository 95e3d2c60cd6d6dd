"""The settings that a mini set is drawn from, and how its folder is made whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from normreg_plugins.files import read_json, write_json

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class Recipe:
    """The settings that decide every pixel; `version` rises when the drawing itself changes."""

    kind: str
    train: int
    val: int
    size: int
    seed: int = 0
    version: int = 1

    least_size: ClassVar[int] = 64

    def __post_init__(self) -> None:
        for name in ("train", "val"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 image, got {getattr(self, name)}")
        if self.size < self.least_size:
            raise ValueError(f"size must be at least {self.least_size} pixels, got {self.size}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")

    def rng(self, split: int, index: int) -> np.random.Generator:
        """A random generator for each image. So a longer set begins with the images of a shorter one."""
        return np.random.default_rng([self.seed, split, index])


def make_once(target: Path, recipe: Recipe, draw: Callable[[Path, Recipe], str]) -> str:
    """Draw into a folder beside `target`, move it there in one step, and return a line that says what happened.

    A set that was made from the same recipe stays as it is. Any other content of `target` is an error.
    """
    if target.exists() and any(target.iterdir()):
        _refuse_unless_same(target, recipe)
        return f"{target}: already made from this recipe, left as it is"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        made = draw(unfinished, recipe)
        write_json(unfinished / RECIPE_FILE, asdict(recipe))
        unfinished.chmod(0o755)  # mkdtemp makes it private
        unfinished.replace(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return f"{target}: {made}"


def _refuse_unless_same(target: Path, recipe: Recipe) -> None:
    way_out = "choose another folder with --out, or remove that one yourself"
    note = target / RECIPE_FILE
    if not note.is_file():
        raise FileExistsError(f"{target} holds files that this tool did not make; {way_out}")
    there = read_json(note)
    if there != asdict(recipe):
        differs = ", ".join(
            f"{key} {there.get(key)} there, {value} asked for"
            for key, value in asdict(recipe).items()
            if there.get(key) != value
        )
        raise FileExistsError(f"{target} was made from another recipe ({differs}); {way_out}")
