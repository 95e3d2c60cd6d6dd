"""Is a COCO annotation file whole, and are its images there? No host is needed to tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from normreg_plugins.files import DamagedFileError, read_json

IMAGE_KEYS = ("id", "file_name", "width", "height")
ANNOTATION_KEYS = ("id", "image_id", "category_id", "bbox", "area")
CATEGORY_KEYS = ("id", "name")
SECTIONS = {"images": IMAGE_KEYS, "annotations": ANNOTATION_KEYS, "categories": CATEGORY_KEYS}


def coco_faults(ann_file: Path, image_folder: Path, classes: Iterable[str] = ()) -> list[str]:
    """What is wrong with an annotation file; an empty list if it can be trained on.

    Args:
        classes: the names that a config asks for. Each must be a category of the file.
    """
    try:
        coco = read_json(ann_file)
    except DamagedFileError as error:
        return [str(error)]
    faults = _shape_faults(coco)
    if not faults:
        faults = [*_reference_faults(coco), *_class_faults(coco, classes)]
        faults += missing_images(image_folder, [image["file_name"] for image in coco["images"]])
    return [f"{ann_file}: {fault}" for fault in faults]


def _shape_faults(coco: Any) -> list[str]:
    """Sections that are no lists, and in each section the first entry that lacks something."""
    if not isinstance(coco, dict):
        kind = type(coco).__name__
        return [f"a COCO annotation file is a JSON object, this one is a {kind} (detections?)"]
    faults = []
    for section, keys in SECTIONS.items():
        entries = coco.get(section)
        if not isinstance(entries, list) or not entries:
            found = "missing" if section not in coco else "empty" if entries == [] else "no list"
            faults.append(f"the list {section!r} is {found}")
        elif fault := next(_entry_faults(section, entries, keys), None):
            faults.append(fault)
    return faults


def _entry_faults(section: str, entries: list[Any], keys: tuple[str, ...]) -> Iterator[str]:
    for position, entry in enumerate(entries):
        where = f"{section}[{position}]"
        if not isinstance(entry, dict):
            yield f"{where} is no object but {entry!r}"
        elif lacking := [key for key in keys if key not in entry]:
            yield f"{where} (id {entry.get('id')}) lacks {', '.join(lacking)}"
        elif odd := [key for key in keys if key.endswith("id") and not isinstance(entry[key], int | str)]:
            yield f"{where} has {odd[0]} {entry[odd[0]]!r}, no number or name"
        elif odd := [key for key in keys if key.endswith("name") and not isinstance(entry[key], str)]:
            yield f"{where} (id {entry['id']}) has {odd[0]} {entry[odd[0]]!r}, no text"
        elif section == "annotations" and not _is_box(entry["bbox"]):
            yield f"{where} (id {entry['id']}) has bbox {entry['bbox']!r}, not 4 numbers"


def _is_box(bbox: Any) -> bool:
    return isinstance(bbox, list) and len(bbox) == 4 and all(isinstance(x, int | float) for x in bbox)


def _reference_faults(coco: dict[str, Any]) -> Iterator[str]:
    """Ids that occur more than once, and annotations of an unknown image or category."""
    for section in SECTIONS:
        ids = [entry["id"] for entry in coco[section]]
        if repeated := len(ids) - len(set(ids)):
            yield f"{repeated} ids in {section} occur more than once"
    for key, section in (("image_id", "images"), ("category_id", "categories")):
        known = {entry["id"] for entry in coco[section]}
        lost = [entry["id"] for entry in coco["annotations"] if entry[key] not in known]
        if lost:
            yield f"{len(lost)} annotations, e.g. id {lost[0]}, have an {key} not in {section}"


def _class_faults(coco: dict[str, Any], classes: Iterable[str]) -> Iterator[str]:
    names = [category["name"] for category in coco["categories"]]
    if unknown := [name for name in classes if name not in names]:
        yield f"has no category {', '.join(unknown)}; it has {', '.join(map(str, names))}"


def missing_images(folder: Path, names: list[str]) -> list[str]:
    """One fault for all files that are not in `folder`. Each folder on disk is listed only once, which is fast."""
    listed: dict[Path, set[str]] = {}
    lost = []
    for name in names:
        path = folder / name
        if path.parent not in listed:
            there = path.parent.iterdir() if path.parent.is_dir() else ()
            listed[path.parent] = {entry.name for entry in there}
        if path.name not in listed[path.parent]:
            lost.append(path)
    if not lost:
        return []
    return [f"{len(lost)} of {len(names)} images are missing, e.g. {', '.join(map(str, lost[:3]))}"]
