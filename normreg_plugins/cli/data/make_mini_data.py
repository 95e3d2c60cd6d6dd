"""Draw a small data set, in seconds: `normreg make-mini-data detection`.

The set has the format of a big one. The same settings give the same pixels and labels. A set that already exists is
left as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from normreg_plugins.cli.data.drawn_crowds import draw_crowds
from normreg_plugins.cli.data.drawn_shapes import SPLITS, draw_coco, draw_voc, draw_yolo
from normreg_plugins.cli.data.prepared_folder import SetError, make_folder

VERSION = 1
"""Rises when a drawing itself changes."""
DIGITS = 1797
"""How many digits scikit-learn has. They have 8 x 8 pixels and 17 shades of grey."""


@dataclass(frozen=True)
class Kind:
    """How one kind of set is drawn, and its default settings."""

    draw: Callable[[Path, Mapping[str, int], int, int], str]
    """Takes the folder, the images of each split, their size and the seed; returns what it drew."""
    train: int
    val: int
    size: int
    least_size: int = 64


def draw_digits(folder: Path, counts: Mapping[str, int], size: int, seed: int) -> str:
    """scikit-learn's real digits, as image folders: {train,val}/{0..9}/NNNN.png"""
    if sum(counts.values()) > DIGITS:
        raise SetError(f"there are {DIGITS} digits, {counts['train']} + {counts['val']} asked for")
    from sklearn.datasets import load_digits  # the other kinds do without

    digits = load_digits()
    order = iter(np.random.default_rng(seed).permutation(DIGITS))  # training and validation images are never the same
    for split in SPLITS:
        for number in range(counts[split]):
            index = next(order)
            target = folder / split / str(digits.target[index]) / f"{number:04d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            grey = Image.fromarray((digits.images[index] * 255 / 16).round().astype(np.uint8))
            grey.resize((size, size), Image.Resampling.BICUBIC).save(target)
    return "10 digits"


KINDS = {
    "detection": Kind(draw_coco, train=400, val=100, size=160),
    "segmentation": Kind(draw_voc, train=160, val=40, size=96),
    "yolo": Kind(draw_yolo, train=400, val=100, size=160),
    "crowd": Kind(draw_crowds, train=120, val=24, size=128),  # prepare-qnrf takes a validation set out of Train
    "classification": Kind(draw_digits, train=400, val=1397, size=16, least_size=8),
}


def make_mini_set(
    kind: str, out: Path, train: int | None = None, val: int | None = None, size: int | None = None, seed: int = 0
) -> str:
    """Draw a set of this kind into `out`, and return a line that says what was made. Defaults: those of the kind."""
    default = KINDS[kind]
    given = {"train": train, "val": val, "size": size, "seed": seed}
    settings = {name: getattr(default, name) if number is None else number for name, number in given.items()}
    least = {"train": 1, "val": 1, "size": default.least_size, "seed": 0}
    if wrong := [f"{name} must be at least {least[name]}, got {n}" for name, n in settings.items() if n < least[name]]:
        raise SetError("; ".join(wrong))
    counts, size = {split: settings[split] for split in SPLITS}, settings["size"]
    made: list[str] = []
    note = {"made_by": "make_mini_data", "kind": kind, **settings, "version": VERSION}
    line = make_folder(out, note, lambda folder: made.append(default.draw(folder, counts, size, seed)))
    return f"{line}, {counts['train']} + {counts['val']} images of {size} px with {made[0]}" if made else line


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, kind in KINDS.items():
        about = kind.draw.__doc__
        options = kinds.add_parser(name, help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        add = options.add_argument
        add("--out", type=Path, default=Path("data/mini") / name, help="folder to make")
        add("--train", type=int, default=kind.train, help="training images")
        add("--val", type=int, default=kind.val, help="validation images")
        add("--size", type=int, default=kind.size, help="image side in pixels")
        add("--seed", type=int, default=0, help="another seed draws other images")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    print(make_mini_set(**vars(parse_args(argv))))
    return 0
