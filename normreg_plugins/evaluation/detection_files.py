"""Reads saved detections: COCO's JSON, or the pickle of mm's test.py --out, without running code from it."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from normreg_plugins.files import DamagedFileError, read_json


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


_VALID = {
    "image_id": lambda value: isinstance(value, Integral | str),
    "category_id": lambda value: isinstance(value, Integral),
    "bbox": _is_box,
    "score": _is_number,
}
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
    """A file that holds no detections, or not only data."""


def load_predictions(path: Path, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Detections in COCO's form. `category_ids` are the categories of mm's labels 0, 1, ..."""
    if path.suffix == ".json":
        detections = _load_json(path)
    elif path.suffix in (".pkl", ".pickle"):
        detections = from_mm(load_data_pickle(path), category_ids, path)
        _refuse_odd(detections, path)
    else:
        raise PredictionsError(f"{path} is neither .json (COCO) nor .pkl (mm's test.py --out)")
    if not detections:
        raise PredictionsError(f"{path} holds no detections")
    return detections


def _load_json(path: Path) -> list[dict[str, Any]]:
    try:
        detections = read_json(path)
    except DamagedFileError as error:
        raise PredictionsError(str(error)) from error
    if not isinstance(detections, list):
        raise PredictionsError(f"{path} holds no list of detections (is it the annotation file?)")
    for position, detection in enumerate(detections):
        if not isinstance(detection, dict) or (lacking := [k for k in _VALID if k not in detection]):
            what = f"lacks {', '.join(lacking)}" if isinstance(detection, dict) else "is no object"
            raise PredictionsError(f"{path}: entry {position} {what}")
    _refuse_odd(detections, path)
    return detections


def _refuse_odd(detections: list[dict[str, Any]], path: Path) -> None:
    for position, detection in enumerate(detections):
        if faults := [key for key, holds in _VALID.items() if not holds(detection[key])]:
            shown = ", ".join(f"{key} {str(detection[key])[:60]!r}" for key in faults)
            raise PredictionsError(f"{path}: entry {position} has {shown}, which is no value for a detection")


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
    detections = []
    try:
        for sample in samples:
            instances = sample["pred_instances"]
            columns = (instances[name].tolist() for name in ("bboxes", "scores", "labels"))
            for (left, top, right, bottom), score, label in zip(*columns, strict=True):
                if not 0 <= label < len(category_ids):
                    raise PredictionsError(
                        f"{source} has label {label}, the annotations have {len(category_ids)} "
                        "categories: they do not belong together"
                    )
                detections.append(
                    {
                        "image_id": sample["img_id"],
                        "category_id": category_ids[label],
                        "bbox": [left, top, right - left, bottom - top],
                        "score": score,
                    }
                )
    except PredictionsError:
        raise
    except (TypeError, KeyError, AttributeError, IndexError, ValueError) as error:
        raise PredictionsError(f"{source} holds no detections of mm: {error!r}") from error
    return detections
