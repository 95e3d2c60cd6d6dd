"""Prepare UCF-QNRF for training: `python tools/data/prepare_qnrf.py UCF-QNRF_ECCV18 data/qnrf`.

It reads Train/ and Test/, each with img_XXXX.jpg and img_XXXX_ann.mat (key annPoints), and writes train, val and test.
The protocol is that of the Bayesian loss. Points outside the picture are dropped. Pictures are resized so that the
shorter side has 512 to 2048 pixels. 120 of the 1,201 training images are held out for validation; --lists takes the
lists of names of a published split instead. UCF-QNRF has 1,201 and 334 images. Other numbers are refused, unless
--any-counts says that another set is meant. The command can be stopped and started again.
"""

from __future__ import annotations

from pathlib import Path

from normreg_plugins.cli.data.crowd_preparation import PreparationError, RawImage, pair, parser, run
from normreg_plugins.crowd.data import read_qnrf_points

COUNTS = {"UCF-QNRF": (1_201, 334)}
FOLDERS = {"train": "Train", "test": "Test"}


def find(raw: Path, split: str) -> list[RawImage]:
    folder = raw / FOLDERS[split]
    if not folder.is_dir():
        raise PreparationError(f"{folder} does not exist; {raw} is not an unpacked UCF-QNRF")
    pictures = [*folder.glob("*.jpg"), *folder.glob("*.jpeg"), *folder.glob("*.png")]
    return pair(pictures, lambda path: path.with_name(f"{path.stem}_ann.mat"), folder)


def main(argv: list[str] | None = None) -> int:
    return run(parser(__doc__, val=120).parse_args(argv), find, read_qnrf_points, COUNTS)
