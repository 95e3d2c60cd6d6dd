"""Sample points on ModelNet40: `python -m research.prepare_modelnet40 ModelNet40`, the folder in ModelNet40.zip.

http://modelnet.cs.princeton.edu/ModelNet40.zip (2 GB) has ModelNet40/CLASS/{train,test}/*.off: 9,843 and 2,468 objects
of 40 classes. On each, 1,024 points are drawn, uniformly by the area of the faces, moved to the mean 0 and scaled into
the unit ball. They go to data/modelnet40/modelnet40.npz, shuffled with seed 0. --any-counts packs a part on purpose.

DGCNN's authors read 1,024 points of the same objects from modelnet40_ply_hdf5_2048.zip, which needs h5py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from normreg_plugins.files import atomic_path
from research.cifar.clouds import FILE, in_unit_ball

URL = "http://modelnet.cs.princeton.edu/ModelNet40.zip"
CLASSES, COUNTS = 40, {"train": 9_843, "test": 2_468}
POINTS = 1_024


class ModelNetError(ValueError):
    """The folder does not hold what is to be packed."""


def find(raw: Path, split: str, any_counts: bool) -> list[tuple[Path, int]]:
    """The objects of a split with their labels, in an order that depends on their names alone."""
    classes = sorted(path for path in raw.glob("*") if path.is_dir())
    found = [(path, label) for label, name in enumerate(classes) for path in sorted((name / split).glob("*.off"))]
    if not found or ((len(classes), len(found)) != (CLASSES, COUNTS[split]) and not any_counts):
        has = f"{raw} has {len(classes)} classes and {len(found)} files CLASS/{split}/*.off"
        raise ModelNetError(f"{has}, not {CLASSES} and {COUNTS[split]}: name the folder ModelNet40 of {URL}, unpacked")
    return found


def triangles(path: Path) -> np.ndarray:
    """(faces, 3 corners, 3 coordinates). Some headers of ModelNet40 lack the line break: `OFF490 518 0`."""
    content = path.read_bytes()
    try:
        if not content.startswith(b"OFF"):
            raise ValueError("it does not begin with OFF")
        numbers = np.array(content[3:].split(), float)
        corners, faces = (int(count) for count in numbers[:2])
        places = numbers[3:][: 3 * corners].reshape(corners, 3)
        shapes = numbers[3 + 3 * corners :].reshape(faces, 4)
        if (shapes[:, 0] != 3).any():
            raise ValueError("a face is no triangle")
        return places[shapes[:, 1:].astype(int)]
    except (ValueError, IndexError) as error:
        raise ModelNetError(f"{path} is damaged or no mesh of triangles, unpack it again: {error}") from error


def sampled(path: Path, noise: np.random.Generator) -> np.ndarray:
    faces = triangles(path)
    areas = np.linalg.norm(np.cross(faces[:, 1] - faces[:, 0], faces[:, 2] - faces[:, 0]), axis=1)
    if not (np.isfinite(areas).all() and areas.sum() > 0):
        raise ModelNetError(f"{path} has no surface, or coordinates that are not finite")
    chosen = faces[noise.choice(len(faces), POINTS, p=areas / areas.sum())]
    root, v = np.sqrt(noise.random((POINTS, 1))), noise.random((POINTS, 1))
    points = (1 - root) * chosen[:, 0] + root * (1 - v) * chosen[:, 1] + root * v * chosen[:, 2]
    return in_unit_ball(points).astype(np.float32)


def pack(raw: Path, split: str, any_counts: bool) -> dict[str, Any]:
    noise, found = np.random.default_rng(0), find(raw, split, any_counts)
    shuffled = [found[place] for place in noise.permutation(len(found))]
    points = [sampled(path, noise) for path, _ in track(shuffled, f"reading {split}", console=Console(stderr=True))]
    return {
        f"{split}_points": np.stack(points),
        f"{split}_labels": np.array([label for _, label in shuffled], np.uint8),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="the folder with a folder for each class")
    parser.add_argument("--any-counts", action="store_true", help="pack any number of objects and classes")
    args = parser.parse_args(argv)
    try:
        packed = {**pack(args.raw, "train", args.any_counts), **pack(args.raw, "test", args.any_counts)}
    except ModelNetError as error:
        print(f"prepare_modelnet40.py: {error}", file=sys.stderr)
        return 2
    with atomic_path(FILE) as unfinished:
        np.savez(unfinished, **packed)
    print(f"{FILE}: {len(packed['train_labels'])} clouds to train on, {len(packed['test_labels'])} to test on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
