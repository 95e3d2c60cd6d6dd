"""Detection: COCO's mAP, precision, recall and F1 at every confidence, and which box was found by which detection.

pycocotools computes mAP and matches detections with objects.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normreg_plugins.evaluation.detection_files import PredictionsError
from normreg_plugins.files import DamagedFileError, read_json

Floats = NDArray[np.float64]
CONFIDENCES: Floats = np.linspace(0, 1, 1001, dtype=np.float64)


@dataclass(frozen=True)
class Matches:
    """The detections of one category. Those that only overlap a crowd are left out: they do not count."""

    scores: Floats
    hits: NDArray[np.bool_]
    """Which detections found an object."""
    objects: int
    """How many objects there are to find."""


@dataclass(frozen=True)
class Curves:
    """One value per confidence: the mean over the categories that have objects."""

    confidence: Floats
    precision: Floats
    """The mean over the categories that have a detection at this confidence; nan where none has."""
    recall: Floats
    f1: Floats

    def at(self, confidence: float) -> dict[str, float]:
        """The three numbers when detections below `confidence` are dropped."""
        if not 0 <= confidence <= 1:
            raise ValueError(f"a confidence lies between 0 and 1, got {confidence}")
        position = min(int(np.searchsorted(self.confidence, confidence)), len(self.confidence) - 1)
        names = ("confidence", "precision", "recall", "f1")
        return {name: float(getattr(self, name)[position]) for name in names}

    def best(self) -> dict[str, float]:
        """The same at the confidence with the highest F1."""
        return self.at(float(self.confidence[np.argmax(self.f1)]))


def curves(matches: Mapping[int, Matches], confidences: Floats = CONFIDENCES) -> Curves:
    """The means over the categories when detections that score below each confidence are dropped."""
    if not matches:
        raise ValueError("there are no objects to find, so precision, recall and F1 mean nothing")
    kept = np.array([_at_least(m.scores, confidences) for m in matches.values()])
    hits = np.array([_at_least(m.scores[m.hits], confidences) for m in matches.values()])
    objects = np.array([[m.objects] for m in matches.values()])
    precision = np.divide(hits, kept, out=np.zeros(kept.shape), where=kept > 0)
    with_detections = (kept > 0).sum(0)
    mean_precision = np.divide(
        precision.sum(0), with_detections, out=np.full(len(confidences), np.nan), where=with_detections > 0
    )
    f1 = 2 * hits / (kept + objects)  # 2 tp / (2 tp + fp + fn)
    return Curves(confidences, mean_precision, (hits / objects).mean(0), f1.mean(0))


def _at_least(scores: Floats, confidences: Floats) -> NDArray[np.int64]:
    """How many scores are not below each confidence."""
    return len(scores) - np.searchsorted(np.sort(scores), confidences, side="left")


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


IOU = 0.5
Box = dict[str, Any]
Pair = tuple[Box | None, Box | None]
"""A true box and the detection that found it; None for a missed box or a detection of nothing."""


def pairs_by_image(
    coco: Any, detections: Sequence[Box], category_ids: Sequence[int], confidence: float
) -> dict[int, list[Pair]]:
    """For each image its pairs at this confidence. Classes need not agree.

    The best detection chooses first, the free box that it overlaps most, if the IoU is 0.5 or more. Boxes that are
    marked as crowds are left out, with the detections that lie in them.
    """
    wanted = set(category_ids)
    found = defaultdict(list)
    for detection in detections:
        if detection["score"] >= confidence:
            found[detection["image_id"]].append(detection)
    pairs = {}
    for image_id in coco.getImgIds():
        boxes = [box for box in coco.imgToAnns[image_id] if box["category_id"] in wanted]
        pairs[image_id] = _pairs(boxes, sorted(found[image_id], key=lambda box: -box["score"]))
    return pairs


def mistakes(pairs: Sequence[Pair]) -> int:
    """How many boxes of an image were missed, invented or given the wrong class."""
    right = sum(1 for true, found in pairs if true and found and true["category_id"] == found["category_id"])
    return len(pairs) - right


def _pairs(boxes: list[Box], detections: list[Box]) -> list[Pair]:
    from pycocotools.mask import iou

    crowd = [bool(box.get("iscrowd")) for box in boxes]
    overlaps = np.asarray(iou([d["bbox"] for d in detections], [b["bbox"] for b in boxes], crowd))
    overlaps = overlaps.reshape(len(detections), len(boxes))  # it gives an empty list where there is nothing
    free = [not each for each in crowd]
    pairs: list[Pair] = []
    for detection, row in zip(detections, overlaps, strict=True):
        best = int(np.argmax(np.where(free, row, -1.0))) if any(free) else -1
        if best >= 0 and row[best] >= IOU:
            free[best] = False
            pairs.append((boxes[best], detection))
        elif not any(each and overlap >= IOU for each, overlap in zip(crowd, row, strict=True)):
            pairs.append((None, detection))
    return pairs + [(box, None) for box, left in zip(boxes, free, strict=True) if left]
