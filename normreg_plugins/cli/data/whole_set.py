"""A prepared folder that appears whole or not at all, and what the commands that make one have in common."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from normreg_plugins.crowd.data import UNREADABLE
from normreg_plugins.files import write_json

NOTE = "prepared.json"
SPLITS = ("train", "val", "test")
NAMED = 10
"""How many damaged files a message names."""

Names = Mapping[str, Sequence[str]]
"""The images of each split."""


class SetError(ValueError):
    """A folder that the set cannot be made from, or cannot be made in."""


def run(description: str | None, argv: list[str] | None, prepare: Callable[[Path, Path, bool], str]) -> int:
    """The command: read its arguments, prepare, and return 0, or 2 with a sentence on what was refused."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("raw", type=Path, help="folder of the raw data set")
    add("out", type=Path, help="folder to prepare it in")
    add("--any-counts", action="store_true", help="accept another number of images than the official set has")
    args = parser.parse_args(argv)
    try:
        print(prepare(args.raw, args.out, args.any_counts))
    except (SetError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def make_whole(out: Path, note: Mapping[str, Any], make: Callable[[Path], None]) -> str:
    """Call `make` with an unfinished folder beside `out`, move that folder to `out` in one step, and say so.

    A folder that was prepared from the same images stays as it is. A run that was killed leaves only the unfinished
    folder, and the next run begins anew.
    """
    if out.exists() and any(out.iterdir()):
        _refuse_unless_same(out, note)
        return f"{out}: already prepared, left as it is"
    unfinished = out.with_name(f".unfinished-{out.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    make(unfinished)
    write_json(unfinished / NOTE, note)
    unfinished.replace(out)
    return f"{out}: prepared"


def _refuse_unless_same(out: Path, note: Mapping[str, Any]) -> None:
    path = out / NOTE
    way_out = "choose another folder, or remove that one yourself"
    if not path.is_file():
        raise SetError(f"{out} holds files that this command did not make; {way_out}")
    if json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(note)):
        raise SetError(f"{out} was prepared from other images; {way_out}")


def check_counts(raw: Path, names: Names, official: Sequence[int], source: str) -> None:
    """Refuse a set whose splits have other numbers of images than the official ones."""
    found = [len(names[split]) for split in SPLITS]
    if found != [*official]:
        train, val, test = official
        raise SetError(
            f"{raw} has {found[0]} training, {found[1]} validation and {found[2]} test images; the official set has "
            f"{train}, {val} and {test}. Get it again from {source}. If it is another set on purpose: --any-counts"
        )


def check_apart(names: Names) -> None:
    """Refuse an image that is in two splits."""
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        if both := sorted({*names[first]} & {*names[second]}):
            raise SetError(f"{first} and {second} share {len(both)} images, e.g. {both[0]}")


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture. Every pixel is decoded, so a torn file is an error here."""
    if not path.is_file():
        raise SetError(f"{path} is missing")
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.size
    except UNREADABLE as error:
        raise SetError(f"{path} cannot be read as a picture: {error}") from error


@contextmanager
def noted(damaged: list[str]) -> Iterator[None]:
    """Add the sentence of a SetError to the list, and go on behind the block."""
    try:
        yield
    except SetError as error:
        damaged.append(str(error))


def refuse_damaged(damaged: Sequence[str], source: str) -> None:
    """Name the damaged files and say what to do."""
    if damaged:
        more = f"\nand {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
        named = "\n".join(damaged[:NAMED])
        raise SetError(
            f"{named}{more}\n{len(damaged)} files are missing or damaged, and nothing was prepared. Get them again "
            f"from {source}, and run the same command."
        )
