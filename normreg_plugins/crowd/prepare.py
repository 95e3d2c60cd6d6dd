"""From pictures and MATLAB annotations to the form that training reads.

    out/train/img_0001.jpg    the picture, its shorter side within bounds
    out/train/img_0001.npy    its people, float32 rows of (x, y, mean distance to 3 neighbours)
    out/train/img_0001.json   its size and count, and what was odd; written last: the image is done
    out/train.json            all of these together; written last of all: the split is done

A run that was cut short goes on where it stopped. Each file appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from normreg_plugins.crowd.annotations import (
    AnnotationError,
    CleanPoints,
    Points,
    clean_points,
    neighbour_distances,
)
from normreg_plugins.crowd.images import Pixels, UnreadableImageError, read_rgb, stored_rotated
from normreg_plugins.crowd.resize import bounded_size, checked_bounds, resize, resize_points

SETTINGS_FILE = "settings.json"
Record = dict[str, Any]


class PreparationError(ValueError):
    """A raw data set, or a folder to prepare it in, that will not do."""


@dataclass(frozen=True)
class RawImage:
    """A picture and its annotation file."""

    name: str
    picture: Path
    annotation: Path


@dataclass(frozen=True)
class Settings:
    """What decides the prepared files, beside the raw ones."""

    shorter_side: tuple[int, int]  # bounds in pixels
    suffix: str = ".jpg"  # or .png, which loses nothing and takes several times the space
    split: str = ""  # how train and val were parted, in words

    def __post_init__(self) -> None:
        checked_bounds(self.shorter_side)


def prepare(
    splits: Mapping[str, Sequence[RawImage]],
    out: Path,
    settings: Settings,
    read_points: Callable[[Path], Points],
    workers: int = 1,
) -> Iterator[tuple[str, Record]]:
    """Prepare every image that is not done yet; yield each one's split and record.

    An image that cannot be prepared yields a record with an `error`, and the rest goes on.
    """
    _keep_settings(out, settings)
    work = partial(_prepare_or_say_why, settings=settings, read_points=read_points)
    with ProcessPoolExecutor(workers) as pool:
        for split, images in splits.items():
            folder = out / split
            folder.mkdir(parents=True, exist_ok=True)
            records = []
            for record in pool.map(work, images, [folder] * len(images)):
                records.append(record)
                yield split, record
            write_json(out / f"{split}.json", _index(records))


def _index(records: Sequence[Record]) -> dict[str, Any]:
    return {
        "images": [record for record in records if "error" not in record],
        "left_out": [record for record in records if "error" in record],
    }


def _prepare_or_say_why(
    raw: RawImage, folder: Path, settings: Settings, read_points: Callable[[Path], Points]
) -> Record:
    done = folder / f"{raw.name}.json"
    if done.is_file():
        return json.loads(done.read_text())
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

    picture = folder / f"{raw.name}{settings.suffix}"
    if old == new and not turned and _is_plain_jpeg(raw.picture) and settings.suffix == ".jpg":
        replace_file(picture, lambda path: shutil.copyfile(raw.picture, path))  # no second JPEG loss
    else:
        final = Image.fromarray(resize(image, new))
        replace_file(picture, lambda path: final.save(path, quality=95, subsampling=0))
    replace_file(folder / f"{raw.name}.npy", lambda path: np.save(path, people))
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
    """The picture in the frame of its points, these points, and whether the picture was turned.

    Where an EXIF tag makes two frames of one file, the stored one counts, as for MATLAB, unless
    more points lie inside the upright one.
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
    """An RGB JPEG that no reader turns."""
    with Image.open(path) as image:
        return (image.format, image.mode) == ("JPEG", "RGB") and not stored_rotated(path)


def _keep_settings(out: Path, settings: Settings) -> None:
    """Note the settings in the folder; refuse one that was begun with others."""
    path = out / SETTINGS_FILE
    if path.is_file():
        before = json.loads(path.read_text())
        now = json.loads(json.dumps(asdict(settings)))
        if before != now:
            raise PreparationError(
                f"{out} was begun with other settings: {before}, now {now}. Choose another folder, or remove this one."
            )
    elif out.is_dir() and any(out.iterdir()):
        raise PreparationError(f"{out} holds files that no preparation made; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(settings))


def write_json(path: Path, content: Any) -> None:
    replace_file(path, lambda part: part.write_text(json.dumps(content, indent=1) + "\n"))


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside the target, then move into place in one step."""
    part = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
