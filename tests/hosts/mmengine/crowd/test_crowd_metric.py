"""The metric names both errors and saves counts and maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from mmengine.registry import METRICS

import normreg_plugins.hosts.mmengine  # noqa: F401
from normreg_plugins.evaluation import load_counts, load_map

pytestmark = pytest.mark.mm


def test_metric_names_both_errors_and_saves(tmp_path):
    metric = METRICS.build({"type": "CountMetric", "out_dir": str(tmp_path / "out")})
    for name, predicted, count in (("a", 12.0, 10), ("b", 5.0, 9)):
        density = torch.full((2, 3), predicted / 6)
        metric.process({}, [{"name": name, "predicted_count": predicted, "count": count, "density": density}])
    errors = metric.evaluate(size=2)
    assert errors == {"count/MAE": 3.0, "count/RMSE": pytest.approx(10**0.5)}
    assert load_counts(tmp_path / "out") == {"a": 12.0, "b": 5.0}
    np.testing.assert_allclose(load_map(tmp_path / "out", "b"), np.full((2, 3), 5 / 6), rtol=1e-6)
    with pytest.raises(FileNotFoundError, match=r"tools/test\.py"):
        load_counts(tmp_path)
