"""Detections in COCO's form: read from JSON, or made from the data samples of mm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from normreg_plugins.files import read_json


class PredictionsError(ValueError):
    """A file without detections."""


def load_predictions(path: Path) -> list[dict[str, Any]]:
    """Detections in COCO's form."""
    if path.suffix != ".json":
        raise PredictionsError(
            f"{path} is no .json file of detections in COCO's form: `normreg test --out FILE.json` writes one, and so "
            "does mmdet's CocoMetric with outfile_prefix"
        )
    detections = read_json(path)
    if not isinstance(detections, list):
        raise PredictionsError(f"{path} is no list of detections (is it the annotation file?)")
    if not detections:
        raise PredictionsError(f"{path} has no detections")
    for position, detection in enumerate(detections):
        if fault := _fault_of(detection):
            raise PredictionsError(f"{path}: entry {position} {fault}")
    return detections


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_VALID = {
    "image_id": lambda value: isinstance(value, Integral | str),
    "category_id": lambda value: isinstance(value, Integral),
    "bbox": lambda value: isinstance(value, list) and len(value) == 4 and all(map(_is_number, value)),
    "score": _is_number,
}


def _fault_of(detection: Any) -> str:
    if not isinstance(detection, dict):
        return "is no object"
    if missing := [key for key in _VALID if key not in detection]:
        return f"lacks {', '.join(missing)}"
    if wrong := [key for key, is_valid in _VALID.items() if not is_valid(detection[key])]:
        shown = ", ".join(f"{key} {str(detection[key])[:60]!r}" for key in wrong)
        return f"has {shown}, which is no value for a detection"
    return ""


def from_mm(samples: Sequence[Any], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Detections of mm's data samples, as dicts. `category_ids` are the categories of mm's labels 0, 1, ..."""
    return [each for sample in samples for each in _detections_of(sample, category_ids)]


def _detections_of(sample: Any, category_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    instances = sample["pred_instances"]
    columns = (instances[name].tolist() for name in ("bboxes", "scores", "labels"))
    for (left, top, right, bottom), score, label in zip(*columns, strict=True):
        box = [left, top, right - left, bottom - top]
        yield {"image_id": sample["img_id"], "category_id": category_ids[label], "bbox": box, "score": score}
