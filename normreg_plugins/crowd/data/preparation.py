"""One picture of a raw crowd data set and its annotation, turned into the files that training reads.

out/train/img_0001.jpg    the picture, its shorter side within bounds
out/train/img_0001.npy    its people, float32 rows of (x, y, mean distance to 3 neighbours)
out/train.json            the records of all images: size, count, and what was odd
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from normreg_plugins.crowd.data.images import bounded_size, read_rgb, resize, resize_points, stored_rotated
from normreg_plugins.crowd.data.points import Points, clean_points, neighbour_distances
from normreg_plugins.files import DamagedFileError, read_json

Record = dict[str, Any]
RECORD_KEYS = {"name", "picture", "width", "height", "count"}
"""What every record has; those of `prepare_image` have more."""


@dataclass(frozen=True)
class RawImage:
    """A picture and its annotation file."""

    name: str
    picture: Path
    annotation: Path
    split: str = ""

    def __str__(self) -> str:
        return str(self.annotation)


def prepare_image(
    raw: RawImage, out: Path, shorter_side: tuple[int, int], read_points: Callable[[Path], Points]
) -> Record:
    """Write the picture and the people of one image to `out / raw.split`, and return its record.

    The picture is read as it is stored, whatever its EXIF tag says, as MATLAB does.
    """
    points, image = read_points(raw.annotation), read_rgb(raw.picture)
    old = image.shape[1], image.shape[0]
    new = bounded_size(*old, shorter_side)
    clean = clean_points(points, *old)
    moved = resize_points(clean.points, old, new)
    picture = out / raw.split / f"{raw.name}.jpg"
    if old == new and _is_plain_jpeg(raw.picture):
        shutil.copyfile(raw.picture, picture)  # saving it again would lose quality
    else:
        Image.fromarray(resize(image, new)).save(picture, quality=95, subsampling=0)
    people = np.column_stack([moved, neighbour_distances(moved)]).astype(np.float32)
    np.save(picture.with_suffix(".npy"), people)
    odd = {
        "points outside": clean.outside,
        "points not finite": clean.not_finite,
        "duplicate points": clean.duplicates,
        "empty": int(len(people) == 0),
        "shape too long for the size bounds": int(min(new) < shorter_side[0]),
    }
    return {
        "name": raw.name,
        "picture": f"{raw.split}/{picture.name}",
        "width": new[0],
        "height": new[1],
        "count": len(people),
        "raw_size": list(old),
        "odd": {what: number for what, number in odd.items() if number},
    }


def _is_plain_jpeg(path: Path) -> bool:
    """An RGB JPEG without an orientation tag."""
    with Image.open(path) as image:
        return (image.format, image.mode) == ("JPEG", "RGB") and not stored_rotated(path)


def records_in(index: Path) -> list[Record]:
    """The records of the images of one split, from the index that a preparation wrote."""
    content = read_json(index)
    records = content.get("images") if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(r, dict) and r.keys() >= RECORD_KEYS for r in records):
        raise DamagedFileError(f"{index} is no index of prepared images; each needs {', '.join(sorted(RECORD_KEYS))}")
    return records
