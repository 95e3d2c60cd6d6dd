"""What the commands that prepare a data set share: arguments, error messages, checks, and a folder made atomically."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from normreg_plugins.crowd.data.images import UNREADABLE, UnreadableImageError
from normreg_plugins.crowd.data.points import AnnotationError
from normreg_plugins.evaluation.segmentation import Labels, MaskError, read_mask
from normreg_plugins.files import read_json, write_json

NOTE = "prepared.json"
SPLITS = ("train", "val", "test")
NAMED = 10
"""How many missing or damaged files a message names."""

Item = TypeVar("Item")
Found = TypeVar("Found")


class SetError(ValueError):
    """A folder that the set cannot be made from, or cannot be made in."""


DAMAGED = (SetError, AnnotationError, UnreadableImageError, FileNotFoundError)


def raw_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments RAW, OUT and --any-counts."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("raw", type=Path, help="folder of the raw data set")
    add("out", type=Path, help="folder for the prepared data set")
    add_any_counts(parser)
    return parser


def add_any_counts(parser: argparse.ArgumentParser) -> None:
    other = "accept another number of images than the official set has"
    parser.add_argument("--any-counts", action="store_true", help=other)


def make_folder(out: Path, note: Mapping[str, Any], make: Callable[[Path], object]) -> str:
    """Call `make` with an unfinished folder beside `out`, then move that folder to `out` in one step.

    A folder that was made from the same `note` is left as it is. Any other content of `out` is an error.
    """
    if out.exists() and any(out.iterdir()):
        _check_note(out, note)
        return f"{out}: already prepared, left as it is"
    unfinished = out.with_name(f".unfinished-{out.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    unfinished.mkdir(parents=True)
    try:
        make(unfinished)
        write_json(unfinished / NOTE, note)
        unfinished.replace(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return f"{out}: prepared"


def _check_note(out: Path, note: Mapping[str, Any]) -> None:
    way_out = "choose another folder, or remove that one yourself"
    if not (out / NOTE).is_file():
        raise SetError(f"{out} has files that this command did not make; {way_out}")
    there, now = read_json(out / NOTE), json.loads(json.dumps(note))
    if differ := [key for key in now if there.get(key) != now[key]]:
        raise SetError(f"{out} was prepared with other settings or images ({', '.join(differ)}); {way_out}")


def check_counts(
    raw: Path, found: Mapping[str, Sized], official: Mapping[str, Sequence[int]], source: str, any_counts: bool
) -> None:
    """Refuse a set with other numbers of images than each of the official sets, unless any are accepted."""
    if any_counts or [*map(len, found.values())] in [[*counts] for counts in official.values()]:
        return
    has = _listed(f"{len(images):,} {what}" for what, images in found.items())
    should = ", ".join(f"{name} has {_listed(f'{n:,}' for n in counts)}" for name, counts in official.items())
    raise SetError(
        f"{raw} has {has} images; {should}. Get it again from {source}. If it is another set on purpose, add "
        "--any-counts"
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def check_paths(wanted: Mapping[Path, str]) -> None:
    """Name the paths that are missing, and where to get them."""
    if missing := [f"{path} is missing: get it from {source}" for path, source in wanted.items() if not path.exists()]:
        raise SetError("\n".join(_first(missing)))


def _first(messages: Sequence[str]) -> list[str]:
    return [*messages[:NAMED], *([f"and {len(messages) - NAMED} more"] if len(messages) > NAMED else [])]


def check_apart(names: Mapping[str, Sequence[str]]) -> None:
    """Refuse an image that is in two splits."""
    for first, second in combinations(names, 2):
        if both := sorted({*names[first]} & {*names[second]}):
            raise SetError(f"{first} and {second} share {len(both)} images, e.g. {both[0]}")


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture. Every pixel is decoded, so a truncated file is an error here."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.size
    except UNREADABLE as error:
        raise SetError(f"{path} cannot be read as a picture: {error}") from error


def check_labels(labels: Labels, path: Path, size: tuple[int, int], known: Collection[int]) -> None:
    """Refuse the labels of a file that do not fit its picture, or are not those of the set."""
    if labels.shape[::-1] != size:
        raise SetError(
            f"{path} has {' x '.join(map(str, labels.shape[::-1]))} pixels, its picture {size[0]} x {size[1]}"
        )
    if len(strange := np.setdiff1d(labels, [*known])):
        raise SetError(f"{path} has the label {strange[0]}; the set has {', '.join(map(str, known))}")


def read_labels(path: Path, size: tuple[int, int], known: Collection[int]) -> Labels:
    """The labels of a mask that fits its picture."""
    try:
        labels = read_mask(path)
    except (MaskError, *UNREADABLE) as error:
        raise SetError(f"{path} cannot be read as a mask: {error}") from error
    check_labels(labels, path, size, known)
    return labels


def read_all(
    read: Callable[[Item], Found], items: Iterable[Item], source: str, processes: int = 0
) -> dict[Item, Found]:
    """`read` of each item. Damaged files do not end it: one SetError names them all, and where to get them.

    Args:
        processes: that read; 0 for this one.
    """
    items, attempt = [*items], partial(_attempt, read)
    results = _in_processes(attempt, items, processes) if processes else map(attempt, items)
    # without automatic refreshes there is no thread, whose locks a forked process would never see released
    shown = track(results, "reading", len(items), auto_refresh=False, transient=True, console=Console(stderr=True))
    found = dict(zip(items, shown, strict=True))
    if damaged := [str(error) for error in found.values() if isinstance(error, Exception)]:
        way_out = f"Get them again from {source}, and run the same command."
        raise SetError("\n".join([*_first(damaged), f"{len(damaged)} files are missing or damaged. {way_out}"]))
    return {item: each for item, each in found.items() if not isinstance(each, Exception)}


def _attempt(read: Callable[[Item], Found], item: Item) -> Found | Exception:
    try:
        return read(item)
    except DAMAGED as error:
        return error


def _in_processes(
    work: Callable[[Item], Found | Exception], items: Sequence[Item], workers: int
) -> Iterator[Found | Exception]:
    """Results in the order of the items. For an item that kills its process, an error.

    SciPy's reader of MATLAB files crashes on some damaged files, and a broken pool does not say which item broke it.
    So the items without a result are then read one by one, each in a new process.
    """
    left = deque(items)
    with suppress(BrokenProcessPool), _pool(workers) as pool:
        for result in pool.map(work, items):
            left.popleft()
            yield result
    yield from (_alone(work, item) for item in left)


def _alone(work: Callable[[Item], Found | Exception], item: Item) -> Found | Exception:
    try:
        with _pool(1) as pool:
            return pool.submit(work, item).result()
    except BrokenProcessPool:
        return SetError(f"{item}: the process that read it was killed, as by a damaged file")


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that leave Ctrl+C to this one."""
    return ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
