"""Prepare MBM, bone marrow with a dot on each cell nucleus: `normreg prepare-mbm RAW data/mbm`.

RAW is the folder MBM_data of https://github.com/ieee8023/countception, with NAME_NNN.png and NAME_dots_NNN.png. The
command writes train, val and test as prepare-qnrf does. Pixels of a mask that touch are one dot.

There is no official split. As in Cohen et al. 2017 (Count-ception), 15 pictures are for training, 14 for validation and
15 for testing, drawn at random. Seed 0 draws the test pictures, whatever --seed is, and --seed draws the validation
pictures. Four pictures each are quarters of one, and they can be in different splits, as in that paper. There are 44
pictures; --any-counts accepts another set in this layout, of which a third is for testing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import center_of_mass, label

from normreg_plugins.cli.data.crowd_preparation import CrowdSet, pair, parser, prepare_crowd
from normreg_plugins.cli.data.prepared_folder import SetError
from normreg_plugins.crowd.data.images import UNREADABLE
from normreg_plugins.crowd.data.points import AnnotationError, Points
from normreg_plugins.crowd.data.preparation import RawImage

SOURCE = "the folder MBM_data of https://github.com/ieee8023/countception"
COUNTS = {"MBM": (29, 15)}
DOTS = "_dots_"
TEST_SEED = 0


def find(raw: Path, split: str) -> list[RawImage]:
    """The pictures that are trained and validated on, or those of the test."""
    pictures = [path for path in raw.glob("*_*.png") if DOTS not in path.name]
    if not pictures:
        raise SetError(f"{raw} has no pictures NAME_NNN.png; get {SOURCE}")
    images = pair(pictures, _dots_of, raw)
    test = {*random.Random(TEST_SEED).sample(range(len(images)), round(len(images) / 3))}
    return [image for index, image in enumerate(images) if (index in test) == (split == "test")]


def _dots_of(picture: Path) -> Path:
    """BM_0001_01_000.png -> BM_0001_01_dots_000.png"""
    name, _, number = picture.name.rpartition("_")
    return picture.with_name(f"{name}{DOTS}{number}")


def read_dots(path: Path) -> Points:
    """The centre (x, y) of each dot of a mask, in pixels."""
    if not path.is_file():
        raise AnnotationError(f"{path}: no such mask of dots; get it again from {SOURCE}")
    try:
        with Image.open(path) as picture:
            marked = np.asarray(picture.convert("L")) > 0
    except UNREADABLE as error:
        raise AnnotationError(
            f"{path}: cannot be read as a mask of dots: {error}; get it again from {SOURCE}"
        ) from error
    dots, number = label(marked, np.ones((3, 3)))
    centres = np.array(center_of_mass(marked, dots, range(1, number + 1)), dtype=np.float32).reshape(-1, 2)
    return centres[:, ::-1]


def main(argv: Sequence[str] | None = None) -> int:
    source = CrowdSet(find, read_dots, COUNTS, SOURCE)
    return prepare_crowd(parser(__doc__, val=14).parse_args(argv), source)
