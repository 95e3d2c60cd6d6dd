"""Prepare one part of ShanghaiTech: `python tools/data/prepare_shanghaitech.py part_A data/shanghaitech_a`.

It reads train_data/ and test_data/, each with images/IMG_X.jpg and ground_truth/GT_IMG_X.mat (or ground-truth/), and
writes train, val and test as tools/data/prepare_qnrf.py does. There is no official validation split. By default 30 of
part A's 300 training images are held out.
"""

from __future__ import annotations

from pathlib import Path

from normreg_plugins.cli.data.crowd_preparation import PreparationError, RawImage, pair, parser, run
from normreg_plugins.crowd.data import read_shanghaitech_points

COUNTS = {"part A": (300, 182), "part B": (400, 316)}
FOLDERS = {"train": "train_data", "test": "test_data"}


def find(raw: Path, split: str) -> list[RawImage]:
    pictures = raw / FOLDERS[split] / "images"
    if not pictures.is_dir():
        raise PreparationError(f"{pictures} does not exist; {raw} is no part of ShanghaiTech")
    truths = [pictures.with_name(name) for name in ("ground_truth", "ground-truth")]
    truth = next((folder for folder in truths if folder.is_dir()), None)
    if truth is None:
        raise PreparationError(f"{truths[0]} does not exist")
    return pair([*pictures.glob("*.jpg")], lambda path: truth / f"GT_{path.stem}.mat", pictures)


def main(argv: list[str] | None = None) -> int:
    return run(parser(__doc__, val=30).parse_args(argv), find, read_shanghaitech_points, COUNTS)
