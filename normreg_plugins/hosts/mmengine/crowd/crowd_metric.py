"""The errors of the counts of a data set, as a metric of mmengine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from normreg_plugins.evaluation import count_errors, save_counts, save_map


@METRICS.register_module()
class CountMetric(BaseMetric):
    """Computes `count/MAE` and `count/RMSE`. Crowd papers call the second, which is a root, 'MSE'.

    Args:
        out_dir: folder for the count and the density map of each image, for tools/eval_mae.py.
        kwargs: those of mmengine's BaseMetric.
    """

    default_prefix = "count"

    def __init__(self, out_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out_dir = None if out_dir is None else Path(out_dir)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        for sample in data_samples:
            self.results.append((sample["name"], sample["predicted_count"], sample["count"]))
            if self.out_dir is not None:
                save_map(self.out_dir, sample["name"], sample["density"].cpu().numpy())

    def compute_metrics(self, results: list[tuple[str, float, int]]) -> dict[str, float]:
        names, predicted, true = zip(*results, strict=True)
        errors = count_errors(predicted, true)
        if self.out_dir is not None:
            save_counts(self.out_dir, dict(zip(names, predicted, strict=True)))
        print_log(f"{errors.images} images: {errors}", logger="current")
        return {"MAE": errors.mae, "RMSE": errors.rmse}
