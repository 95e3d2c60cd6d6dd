"""Clouds of points: ModelNet40 as prepare_modelnet40 packs it, and solids that are drawn."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from normreg_plugins.files import DamagedFileError
from research.cifar.pictures import Parts, Pictures

FILE = Path("data/modelnet40/modelnet40.npz")
JITTER, FARTHEST = 0.01, 0.05
"""Deviation of the points in training, and the most that a coordinate moves (PointNet, Qi et al. 2017)."""
Profile = list[tuple[float, float]]
"""Distances from the axis, and heights."""


def _arc(begin: float, end: float, centre: float, radius: float) -> Profile:
    return [(centre + radius * math.cos(a), radius * math.sin(a)) for a in np.linspace(begin, end, 25)]


_BLOCK: Profile = [(0, -1), (1, -1), (1, 1), (0, 1)]
_PEAK: Profile = [(0, -1), (1, -1), (0, 1)]
SOLIDS: dict[str, tuple[Profile, int]] = {
    "sphere": (_arc(-math.pi / 2, math.pi / 2, 0, 1), 0),
    "cylinder": (_BLOCK, 0),
    "prism": (_BLOCK, 3),
    "box": (_BLOCK, 4),
    "cone": (_PEAK, 0),
    "pyramid": (_PEAK, 4),
    "double cone": ([(0, -1), (1, 0), (0, 1)], 0),
    "torus": (_arc(0, 2 * math.pi, 1, 0.4), 0),
}
"""Profiles around the up-axis, and the sides of the polygon that they are drawn along; 0 for a circle."""


def surface(profile: Profile, sides: int, count: int, noise: np.random.Generator) -> np.ndarray:
    """So many points of the surface, uniform on a circle and nearly so on a polygon."""
    ends = np.array(profile, float)
    lengths = np.linalg.norm(np.diff(ends, axis=0), axis=1)
    areas = lengths * (ends[:-1, 0] + ends[1:, 0])
    which, u = noise.choice(len(areas), count, p=areas / areas.sum()), noise.random(count)
    a, b = ends[which, 0], ends[which + 1, 0]
    radius = np.sqrt(a**2 + u * (b**2 - a**2))  # the wider end has more points
    along = u * (a + b) / np.maximum(a + radius, 1e-9)
    height = ends[which, 1] + along * (ends[which + 1, 1] - ends[which, 1])
    angle = noise.uniform(0, 2 * math.pi, count)
    if sides:
        radius = radius * math.cos(math.pi / sides) / np.cos(angle % (2 * math.pi / sides) - math.pi / sides)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], 1)


def in_unit_ball(points: np.ndarray) -> np.ndarray:
    points = points - points.mean(0)
    return points / np.linalg.norm(points, axis=1).max()


def solids(count: int, noise: np.random.Generator, points: int = 128, rough: float = 0.1) -> Pictures:
    """As many of each class: stretched along each axis by 0.6 to 1.4, turned around the up-axis, and rough."""
    labels, drawn = np.arange(count) % len(SOLIDS), []
    for label in labels:
        profile, sides = [*SOLIDS.values()][label]
        stretched = surface(profile, sides, points, noise) * noise.uniform(0.6, 1.4, 3)
        drawn.append(in_unit_ball(stretched + noise.normal(0, rough, stretched.shape)))
    clouds = torch.from_numpy(np.stack(drawn)).float().transpose(1, 2)
    angles = torch.from_numpy(noise.uniform(0, 2 * math.pi, count)).float()
    return Pictures(turn(clouds, angles), torch.from_numpy(labels))


def solid_parts(learned: int, validated: int, tested: int, seed: int) -> Parts:
    noise = np.random.default_rng(seed)
    return Parts(*(solids(count, noise) for count in (learned, validated, tested)))


@lru_cache(maxsize=2)
def read_modelnet(split: str, path: Path) -> Pictures:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: python -m research.prepare_modelnet40 --help says how to make it")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as packed:
            points, labels = packed[f"{split}_points"], packed[f"{split}_labels"]
    except Exception as error:  # numpy and zipfile raise many
        raise DamagedFileError(f"{path} is damaged: delete it and make it again ({error})") from error
    return Pictures(torch.from_numpy(points).transpose(1, 2).contiguous(), torch.from_numpy(labels.astype(np.int64)))


def modelnet_parts(learned: int, validated: int, tested: int, seed: int) -> Parts:
    """The clouds to choose on are the first of the test part; with the paper's `validated` 0 there is no choice."""
    train, test = (read_modelnet(split, FILE.resolve()) for split in ("train", "test"))
    if not 0 < learned <= len(train):
        raise ValueError(f"pictures={learned}: there are {len(train)} clouds to learn from")
    among = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:learned]
    return Parts(train.some(among), test.some(slice(validated)), test.some(slice(validated, validated + tested)))


def turn(clouds: Tensor, angles: Tensor) -> Tensor:
    """Each cloud (3, points) around its last axis, which points up."""
    cos, sin, (x, y, z) = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1), clouds.unbind(1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], 1)


def turned_and_jittered(clouds: Tensor) -> Tensor:
    """As the constrained paper does in training (section 4.2.1)."""
    angles = 2 * math.pi * torch.rand(len(clouds), device=clouds.device)
    return turn(clouds, angles) + (JITTER * torch.randn_like(clouds)).clamp(-FARTHEST, FARTHEST)
