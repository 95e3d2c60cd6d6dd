"""Drawn scenes: a few flat shapes on a varied background, with the exact mask and box of each shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHAPES = ("circle", "square", "triangle")
MOST_THINGS = 5
RADIUS = (0.1, 0.25)  # of the image side
CONTRAST = 80.0  # least difference of a shape's colour from the background it covers, in grey levels
TILT = 0.25  # radians, either way
TRIES = 30  # places tried for one shape before it is left out

Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


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
