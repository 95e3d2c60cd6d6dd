"""Drawn crowds in the raw layout of UCF-QNRF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from normreg_plugins.cli.data.drawn_shapes import rng_of

PEOPLE = (3, 160)  # least and most people in a picture; the logarithm of their number is uniform
HEAD = (2.0, 4.5)  # radius in pixels at the top and at the bottom of the picture
SKIN = np.array([[224, 172, 140], [198, 134, 100], [141, 85, 54], [90, 56, 37]], dtype=float)


def draw_crowds(folder: Path, counts: Mapping[str, int], size: int, seed: int) -> str:
    """Crowds of drawn heads, in raw UCF-QNRF layout: {Train,Test}/img_NNNN.jpg and img_NNNN_ann.mat"""
    people = []
    for split, name in (("train", "Train"), ("val", "Test")):
        (folder / name).mkdir()
        drawn = (
            _draw_image(folder / name, number, size, rng_of(seed, split, number)) for number in range(counts[split])
        )
        people.append(sum(drawn))
    return f"{people[0]} + {people[1]} people (Train + Test); the shorter side is {size} px"


def _draw_image(folder: Path, number: int, size: int, rng: np.random.Generator) -> int:
    width, height = rng.permutation([size, int(size * rng.uniform(1.0, 1.5))])
    points = _places(rng, width, height)
    picture = _ground(rng, width, height)
    for x, y in points[np.argsort(points[:, 1])]:  # people in front hide people behind them
        _draw_person(rng, picture, x, y)
    noisy = (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)
    name = f"img_{number + 1:04d}"
    Image.fromarray(noisy).save(folder / f"{name}.jpg", quality=95)
    savemat(folder / f"{name}_ann.mat", {"annPoints": points})
    return len(points)


def _places(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """The centres of the heads: some of them anywhere, the others in a dense group."""
    count = round(float(np.exp(rng.uniform(*np.log(PEOPLE)))))
    loose = int(count * rng.uniform(0.2, 1.0))
    anywhere = rng.uniform((2, 2), (width - 2, height - 2), (loose, 2))
    centre = rng.uniform((0.2 * width, 0.2 * height), (0.8 * width, 0.8 * height))
    group = rng.normal(centre, (0.16 * width, 0.16 * height), (count - loose, 2))
    return np.concatenate([anywhere, group.clip((2, 2), (width - 2, height - 2))])


def _ground(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Streets and lawns: soft blotches that become lighter or darker from top to bottom."""
    coarse = rng.uniform(60, 190, (5, 5, 3)) * 0.4 + rng.uniform(50, 170, 3) * 0.6
    blotches = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    slope = np.linspace(0, rng.uniform(-40, 40), height)[:, None, None]
    return np.asarray(blotches, dtype=float) + slope


def _draw_person(rng: np.random.Generator, picture: NDArray[np.float64], x: float, y: float) -> None:
    """Draw a round head with hair, over shoulders in a random colour."""
    height, width = picture.shape[:2]
    radius = (HEAD[0] + (HEAD[1] - HEAD[0]) * y / height) * rng.uniform(0.85, 1.15)
    reach = int(3 * radius) + 1
    rows = slice(max(0, int(y) - reach), min(height, int(y) + reach + 1))
    columns = slice(max(0, int(x) - reach), min(width, int(x) + reach + 1))
    dy, dx = np.mgrid[rows, columns] - np.array([y, x])[:, None, None]
    window = picture[rows, columns]
    window[(dx / 1.7) ** 2 + (dy - 2 * radius) ** 2 < radius**2] = rng.uniform(20, 235, 3)
    head = dx**2 + dy**2 < radius**2
    window[head] = SKIN[rng.integers(len(SKIN))] + rng.uniform(-12, 12)
    window[head & (dy < -0.2 * radius)] = rng.uniform(15, 70)
