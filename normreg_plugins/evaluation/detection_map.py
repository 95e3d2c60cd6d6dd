"""Computes COCO's mAP of saved detections, and which detections found an object. pycocotools does both."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from normreg_plugins.evaluation.detection_curves import Matches
from normreg_plugins.evaluation.detection_files import PredictionsError
from normreg_plugins.files import DamagedFileError, read_json


@dataclass(frozen=True)
class DetectionScores:
    mean_ap: float
    """The mean over IoU .5, .55, ... .95."""
    mean_ap50: float
    """At IoU .5."""
    matches: dict[int, Matches]
    """At IoU .5, for each category that has objects."""


def load_annotations(path: Path) -> Any:
    """The annotations of a COCO file, as pycocotools' COCO."""
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise ImportError("mAP needs pycocotools: pip install 'normreg_plugins[evaluation]'") from error
    coco = COCO()
    try:
        coco.dataset = read_json(path)
        if lacking := [key for key in ("images", "annotations", "categories") if key not in coco.dataset]:
            raise PredictionsError(f"{path} is no COCO annotation file: it lacks {', '.join(lacking)}")
        for number, annotation in enumerate(coco.dataset["annotations"], start=1):
            annotation["id"] = number  # COCOeval takes an object with id 0 for no object
            annotation.setdefault("iscrowd", 0)
            annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
    except (PredictionsError, DamagedFileError):
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise PredictionsError(f"{path} is no COCO annotation file, or was cut off") from error
    return coco


def detection_scores(coco: Any, detections: list[dict[str, Any]], category_ids: Sequence[int]) -> DetectionScores:
    """COCO's own evaluation of detections on some categories.

    mAP takes the 100 best detections of a category in an image into account, the matches take all.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluation(coco, detections, category_ids)
        evaluation.params.maxDets = [1, 10, 100, max(101, len(detections))]  # summarize() reads the first three
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    mean_ap, mean_ap50, *_ = evaluation.stats
    return DetectionScores(float(mean_ap), float(mean_ap50), _matches(evaluation))


def detection_matches(coco: Any, detections: list[dict[str, Any]], category_ids: Sequence[int]) -> dict[int, Matches]:
    """The matches at IoU .5 alone, in a fraction of the time of `detection_scores`. There may be no detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluation(coco, detections, category_ids)
        params = evaluation.params
        params.iouThrs, params.maxDets = params.iouThrs[:1], [max(1, len(detections))]
        params.areaRng, params.areaRngLbl = params.areaRng[:1], params.areaRngLbl[:1]
        evaluation.evaluate()
    return _matches(evaluation)


def category_ids(coco: Any, classes: Sequence[str] | None) -> list[int]:
    """The categories that the labels 0, 1, ... of an mm model mean, in the order of the file, not of `classes`."""
    names = [category["name"] for category in coco.dataset["categories"]]
    if unknown := [name for name in classes or () if name not in names]:
        raise PredictionsError(f"the annotations have no {', '.join(unknown)}")
    return [c["id"] for c in coco.dataset["categories"] if classes is None or c["name"] in classes]


def _evaluation(coco: Any, detections: list[dict[str, Any]], category_ids: Sequence[int]) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    evaluation = COCOeval(coco, coco.loadRes(detections) if detections else COCO(), "bbox")
    evaluation.params.catIds = list(category_ids)
    return evaluation


def _matches(evaluation: Any) -> dict[int, Matches]:
    """The matches that COCOeval made at its first IoU threshold, .5, among objects of all sizes."""
    images: dict[int, list[dict[str, Any]]] = {}
    for image in evaluation.evalImgs:  # None for an image without objects and detections of the category
        if image is not None and image["aRng"] == evaluation.params.areaRng[0]:
            images.setdefault(image["category_id"], []).append(image)
    matches = {}
    for category, some in images.items():
        counted = ~np.concatenate([image["dtIgnore"][0] for image in some]).astype(bool)
        scores = np.concatenate([image["dtScores"] for image in some])
        hits = np.concatenate([image["dtMatches"][0] for image in some]) > 0
        objects = sum(int((np.asarray(image["gtIgnore"]) == 0).sum()) for image in some)
        if objects:
            matches[category] = Matches(scores[counted], hits[counted], objects)
    return matches
