"""Prepares a raw data set: turns pictures and MATLAB annotations into the files that training reads.

    out/settings.json         the settings of the preparation
    out/train/img_0001.jpg    the picture, its shorter side within bounds
    out/train/img_0001.npy    its people, float32 rows of (x, y, mean distance to 3 neighbours)
    out/train/img_0001.json   its size, its count and what was odd; its existence means that the image is done
    out/train.json            the records of all images; its existence means that the split is done

An interrupted run continues where it stopped. Every file is written atomically.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from normreg_plugins.crowd.data.images import (
    Pixels,
    UnreadableImageError,
    bounded_size,
    checked_bounds,
    read_rgb,
    resize,
    resize_points,
    stored_rotated,
)
from normreg_plugins.crowd.data.points import (
    AnnotationError,
    CleanPoints,
    Points,
    clean_points,
    neighbour_distances,
)
from normreg_plugins.files import DamagedFileError, atomic_path, read_json, write_json

SETTINGS_FILE = "settings.json"
Record = dict[str, Any]
RECORD_KEYS = {"name", "picture", "width", "height", "count"}
"""What every record has; those of `prepare` have more."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class PreparationError(ValueError):
    """A raw data set, or a folder for the prepared one, that cannot be used."""


@dataclass(frozen=True)
class RawImage:
    """A picture and its annotation file."""

    name: str
    picture: Path
    annotation: Path


@dataclass(frozen=True)
class Settings:
    """What the prepared files depend on, besides the raw files."""

    shorter_side: tuple[int, int]  # bounds in pixels
    split: str = ""  # how the images were divided into train and val, in words

    def __post_init__(self) -> None:
        checked_bounds(self.shorter_side)


def prepare(
    splits: Mapping[str, Sequence[RawImage]],
    out: Path,
    settings: Settings,
    read_points: Callable[[Path], Points],
    workers: int = 1,
) -> Iterator[tuple[str, Record]]:
    """Prepare every image that is not done yet; yield the split and the record of each image.

    The record of an image that cannot be prepared has an `error`; the others are prepared anyway.
    """
    _write_settings(out, settings)
    for split, images in splits.items():
        folder = out / split
        folder.mkdir(parents=True, exist_ok=True)
        work = partial(_prepare_or_explain, folder=folder, settings=settings, read_points=read_points)
        records = []
        for raw, result in zip(images, map_in_processes(work, images, workers), strict=True):
            record = _killed(raw) if isinstance(result, BrokenProcessPool) else result
            records.append(record)
            yield split, record
        write_json(out / f"{split}.json", _index(records))


def map_in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int = 1
) -> Iterator[Result | BrokenProcessPool]:
    """Results in the order of the items. For an item that kills its process, the error instead of its result.

    SciPy's reader of MATLAB files crashes on some damaged files, and a broken process pool does not say which item
    broke it. So the next items are done one by one, each in a new process, until that item is found.
    """
    left = deque(items)
    while left:
        with suppress(BrokenProcessPool), ProcessPoolExecutor(workers, initializer=_end_with_parent) as pool:
            for result in pool.map(work, tuple(left)):
                left.popleft()
                yield result
        while left:
            item = left.popleft()
            try:
                with ProcessPoolExecutor(1, initializer=_end_with_parent) as pool:
                    result = pool.submit(work, item).result()
            except BrokenProcessPool as error:
                yield error
                break
            yield result


def _end_with_parent() -> None:
    """End this worker when its parent is killed; it would wait for work forever. Leave Ctrl+C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        parent: Any = multiprocessing.parent_process()
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def records_in(index: Path) -> list[Record]:
    """The records of the images of one split, from the index that a preparation wrote."""
    content = read_json(index)
    records = content.get("images") if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(r, dict) and r.keys() >= RECORD_KEYS for r in records):
        raise DamagedFileError(f"{index} is no index of prepared images; each needs {', '.join(sorted(RECORD_KEYS))}")
    return records


def _index(records: Sequence[Record]) -> dict[str, Any]:
    return {
        "images": [record for record in records if "error" not in record],
        "left_out": [record for record in records if "error" in record],
    }


def _killed(raw: RawImage) -> Record:
    what = "the process that read it was killed, as by a damaged file; unpack it again"
    return {"name": raw.name, "error": f"{raw.annotation}: {what}"}


def _prepare_or_explain(
    raw: RawImage, folder: Path, settings: Settings, read_points: Callable[[Path], Points]
) -> Record:
    done = folder / f"{raw.name}.json"
    if done.is_file():
        return read_json(done)
    try:
        record = _prepare_image(raw, folder, settings, read_points)
    except (AnnotationError, UnreadableImageError, FileNotFoundError) as error:
        return {"name": raw.name, "error": str(error)}
    write_json(done, record)
    return record


def _prepare_image(raw: RawImage, folder: Path, settings: Settings, read_points: Callable[[Path], Points]) -> Record:
    image, clean, turned = _read(raw, read_points(raw.annotation))
    old = image.shape[1], image.shape[0]
    new = bounded_size(*old, settings.shorter_side)
    points = resize_points(clean.points, old, new)
    people = np.column_stack([points, neighbour_distances(points)]).astype(np.float32)

    picture = folder / f"{raw.name}.jpg"
    unchanged = old == new and not turned and _is_plain_jpeg(raw.picture)
    with atomic_path(picture) as unfinished:
        if unchanged:
            shutil.copyfile(raw.picture, unfinished)  # saving it again would lose quality
        else:
            Image.fromarray(resize(image, new)).save(unfinished, quality=95, subsampling=0)
    with atomic_path(folder / f"{raw.name}.npy") as unfinished:
        np.save(unfinished, people)
    odd = {
        "points outside": clean.outside,
        "points not finite": clean.not_finite,
        "duplicate points": clean.duplicates,
        "empty": int(len(people) == 0),
        "turned upright by its EXIF tag": int(turned),
        "shape too long for the size bounds": int(min(new) < settings.shorter_side[0]),
    }
    return {
        "name": raw.name,
        "picture": f"{folder.name}/{picture.name}",
        "width": new[0],
        "height": new[1],
        "count": len(people),
        "raw_size": list(old),
        "odd": {what: number for what, number in odd.items() if number},
    }


def _read(raw: RawImage, points: Points) -> tuple[Pixels, CleanPoints, bool]:
    """The picture, its points, and whether the picture was turned upright.

    A picture with an EXIF orientation tag can be meant as stored or upright. It is read as stored, as MATLAB does,
    unless more points lie inside the upright picture.
    """
    image = read_rgb(raw.picture)
    clean = clean_points(points, image.shape[1], image.shape[0])
    if stored_rotated(raw.picture):
        upright = read_rgb(raw.picture, upright=True)
        clean_upright = clean_points(points, upright.shape[1], upright.shape[0])
        if len(clean_upright.points) > len(clean.points):
            return upright, clean_upright, True
    return image, clean, False


def _is_plain_jpeg(path: Path) -> bool:
    """An RGB JPEG without an orientation tag."""
    with Image.open(path) as image:
        return (image.format, image.mode) == ("JPEG", "RGB") and not stored_rotated(path)


def _write_settings(out: Path, settings: Settings) -> None:
    """Write the settings into the folder; refuse a folder that was prepared with other settings."""
    path = out / SETTINGS_FILE
    if path.is_file():
        before = read_json(path)
        now = json.loads(json.dumps(asdict(settings)))
        if before != now:
            raise PreparationError(
                f"{out} was prepared with other settings: {before}; now they are {now}. "
                "Choose another folder, or remove this one."
            )
    elif out.is_dir() and any(out.iterdir()):
        raise PreparationError(f"{out} has files that no preparation made; choose an empty or new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(settings))
