"""A few drawn pictures in the folders of BCCD, CamVid and MBM, as their public repositories have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

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


def annotation(things: Sequence[tuple[str, tuple[int, ...]]], width: int = WIDTH) -> str:
    corners = ("xmin", "ymin", "xmax", "ymax")
    objects = ""
    for name, box in things:
        sides = "".join(f"<{corner}>{at}</{corner}>" for corner, at in zip(corners, box, strict=True))
        objects += f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
    size = f"<size><width>{width}</width><height>{HEIGHT}</height><depth>3</depth></size>"
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
