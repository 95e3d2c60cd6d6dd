"""Precision, recall and F1 of a detector at each validation (Fig. 9 of the WRS paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from normreg_plugins.evaluation.detection import category_ids, curves, detection_matches, load_annotations
from normreg_plugins.evaluation.detection_files import from_mm


@METRICS.register_module()
class NormRegPrecisionRecallMetric(BaseMetric):
    """Logs detection/precision, detection/recall and detection/f1: means over the classes, at IoU 0.5.

    detection/best_f1 is the highest F1 of any confidence threshold. Undefined scores are not logged: precision, while
    no detection reaches `confidence`.

    Args:
        ann_file: COCO annotations of the images that are validated.
        confidence: detections below it are dropped. The paper does not give its threshold.
    """

    default_prefix = "detection"

    def __init__(self, ann_file: str, confidence: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ann_file, self._confidence = Path(ann_file), confidence
        self._annotations: Any = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            instances = {key: sample["pred_instances"][key].cpu() for key in ("bboxes", "scores", "labels")}
            self.results.append({"img_id": sample["img_id"], "pred_instances": instances})

    def compute_metrics(self, results: list) -> dict[str, float]:
        if self._annotations is None:
            self._annotations = load_annotations(self._ann_file)
        classes = (self.dataset_meta or {}).get("classes")
        ids = category_ids(self._annotations, classes)
        found = curves(detection_matches(self._annotations, from_mm(results, ids), ids))
        at = found.at(self._confidence)
        scores = {name: at[name] for name in ("precision", "recall", "f1")} | {"best_f1": found.best()["f1"]}
        return {name: value for name, value in scores.items() if not math.isnan(value)}
