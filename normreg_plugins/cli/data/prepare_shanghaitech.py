"""Prepare one part of ShanghaiTech: `normreg prepare-shanghaitech part_A data/shanghaitech_a`.

It reads train_data/ and test_data/, each with images/IMG_X.jpg and ground_truth/GT_IMG_X.mat (or ground-truth/), and
writes train, val and test as prepare-qnrf does. There is no official validation split. By default 30 of
part A's 300 training images are held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from normreg_plugins.cli.data.crowd_preparation import CrowdSet, pair, parser, prepare_crowd
from normreg_plugins.cli.data.prepared_folder import check_paths
from normreg_plugins.crowd.data.points import read_shanghaitech_points
from normreg_plugins.crowd.data.preparation import RawImage

SOURCE = "the archive of ShanghaiTech (Zhang et al., CVPR 2016), which has part_A and part_B"
COUNTS = {"part A": (300, 182), "part B": (400, 316)}
FOLDERS = {"train": "train_data", "test": "test_data"}


def find(raw: Path, split: str) -> list[RawImage]:
    pictures = raw / FOLDERS[split] / "images"
    truths = [pictures.with_name(name) for name in ("ground_truth", "ground-truth")]
    truth = next((folder for folder in truths if folder.is_dir()), truths[0])
    check_paths({pictures: SOURCE, truth: SOURCE})
    return pair([*pictures.glob("*.jpg")], lambda path: truth / f"GT_{path.stem}.mat", pictures)


def main(argv: Sequence[str] | None = None) -> int:
    source = CrowdSet(find, read_shanghaitech_points, COUNTS, SOURCE)
    return prepare_crowd(parser(__doc__, val=30).parse_args(argv), source)
