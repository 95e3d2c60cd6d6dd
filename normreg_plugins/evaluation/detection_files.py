"""Reads saved detections: COCO's JSON, or the pickle of mm's test.py --out, without running code from it."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from normreg_plugins.files import read_json

_NUMPY = ("numpy.core", "numpy._core")  # before and since NumPy 2
_DATA_ONLY = {
    ("_codecs", "encode"),  # bytes, as old protocols write them
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"{numpy}.multiarray", name) for numpy in _NUMPY for name in ("_reconstruct", "scalar")),
    *((f"{numpy}.numeric", "_frombuffer") for numpy in _NUMPY),
    ("torch._utils", "_rebuild_tensor_v2"),
}


class PredictionsError(ValueError):
    """A file without detections, or with more than data."""


def load_predictions(path: Path, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Detections in COCO's form. `category_ids` are the categories of mm's labels 0, 1, ..."""
    if path.suffix == ".json":
        detections = read_json(path)
        if not isinstance(detections, list):
            raise PredictionsError(f"{path} is no list of detections (is it the annotation file?)")
    elif path.suffix in (".pkl", ".pickle"):
        detections = from_mm(load_data_pickle(path), category_ids, path)
    else:
        raise PredictionsError(f"{path} is neither .json (COCO) nor .pkl (mm's test.py --out)")
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


def load_data_pickle(path: Path) -> Any:
    """Unpickle numbers, strings, containers, NumPy arrays and torch tensors, and nothing else.

    A pickle can name any function, and unpickling calls it. Every name that is not listed above is refused.
    """
    try:
        with path.open("rb") as file:
            return _DataUnpickler(file).load()
    except OSError:
        raise
    except Exception as error:  # what a damaged pickle asks for may fail in any way, for want of memory too
        raise PredictionsError(f"{path} cannot be read as plain data: {str(error) or type(error).__name__}") from error


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _load_storage  # torch's own function unpickles without restrictions
        if (module, name) not in _DATA_ONLY:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not data")
        return super().find_class(module, name)


def _load_storage(content: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's message advises to load it unsafely
        raise pickle.UnpicklingError("a tensor in it is damaged, or holds more than data") from error


def from_mm(samples: Any, category_ids: Sequence[int], source: object = "mm") -> list[dict[str, Any]]:
    """Detections of mm's data samples, as dicts, in COCO's form.

    Args:
        source: where they come from, for errors.
    """
    try:
        return [each for sample in samples for each in _detections_of(sample, category_ids, source)]
    except PredictionsError:
        raise
    except (TypeError, KeyError, AttributeError, IndexError, ValueError) as error:
        raise PredictionsError(f"{source} has no detections of mm: {error!r}") from error


def _detections_of(sample: Any, category_ids: Sequence[int], source: object) -> Iterator[dict[str, Any]]:
    instances = sample["pred_instances"]
    columns = (instances[name].tolist() for name in ("bboxes", "scores", "labels"))
    for (left, top, right, bottom), score, label in zip(*columns, strict=True):
        if not 0 <= label < len(category_ids):
            raise PredictionsError(
                f"{source} has label {label}, the annotations have {len(category_ids)} categories: "
                "they do not belong together"
            )
        box = [left, top, right - left, bottom - top]
        yield {"image_id": sample["img_id"], "category_id": category_ids[label], "bbox": box, "score": score}
