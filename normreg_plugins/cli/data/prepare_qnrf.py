"""Prepare UCF-QNRF for training: `normreg prepare-qnrf UCF-QNRF_ECCV18 data/qnrf`.

It reads Train/ and Test/, each with img_XXXX.jpg and img_XXXX_ann.mat (key annPoints), and writes train, val and test.
The protocol is that of the Bayesian loss. Points outside the picture are dropped. Pictures are resized so that the
shorter side has 512 to 2048 pixels. 120 of the 1,201 training images are held out for validation; --lists takes the
lists of names of a published split instead. UCF-QNRF has 1,201 and 334 images; --any-counts accepts another set in this
layout. The folder appears complete or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from normreg_plugins.cli.data.crowd_preparation import CrowdSet, pair, parser, prepare_crowd
from normreg_plugins.cli.data.prepared_folder import check_paths
from normreg_plugins.crowd.data.points import read_qnrf_points
from normreg_plugins.crowd.data.preparation import RawImage

SOURCE = "UCF-QNRF_ECCV18.zip, https://www.crcv.ucf.edu/data/ucf-qnrf/"
COUNTS = {"UCF-QNRF": (1_201, 334)}
FOLDERS = {"train": "Train", "test": "Test"}


def find(raw: Path, split: str) -> list[RawImage]:
    folder = raw / FOLDERS[split]
    check_paths({folder: SOURCE})
    pictures = [*folder.glob("*.jpg"), *folder.glob("*.jpeg"), *folder.glob("*.png")]
    return pair(pictures, lambda path: path.with_name(f"{path.stem}_ann.mat"), folder)


def main(argv: Sequence[str] | None = None) -> int:
    source = CrowdSet(find, read_qnrf_points, COUNTS, SOURCE)
    return prepare_crowd(parser(__doc__, val=120).parse_args(argv), source)
