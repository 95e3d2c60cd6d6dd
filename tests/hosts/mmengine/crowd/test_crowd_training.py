"""The parts together in a Runner: the mini configs train, validate, draw and save predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from helpers.mini_crowd import mini_config, sample_of
from mmengine.registry import METRICS
from mmengine.runner import Runner
from PIL import Image

from normreg_plugins.evaluation.counting import load_counts, load_map
from normreg_plugins.hosts.mmengine.crowd.crowd_drawing import drawing_of

pytestmark = pytest.mark.mm


@pytest.mark.parametrize("name", ["csrnet_wrs_ic", "csrnet_pgd"])
def test_mini_configs_train_and_validates(name, prepared, tmp_path):
    runner = Runner.from_cfg(mini_config(name, prepared, tmp_path / name))
    before = runner.model.backbone.output.weight.clone()
    runner.train()
    assert runner.iter == 2
    assert not runner.model.backbone.output.weight.equal(before)
    assert runner.message_hub.get_scalar("val/count/MAE").current() > 0
    assert list((tmp_path / name).rglob("vis_image/val_img_*.png"))


def test_test_time_predictions_are_saved(prepared, tmp_path):
    cfg = mini_config("csrnet_wd", prepared, tmp_path)
    cfg.test_evaluator.out_dir = str(tmp_path / "predictions")
    errors = Runner.from_cfg(cfg).test()
    counts = load_counts(tmp_path / "predictions")
    assert set(counts) == {"img_0001", "img_0002"}
    for name, number in counts.items():
        density = load_map(tmp_path / "predictions", name)
        assert density.sum() == pytest.approx(number, rel=1e-5)
    assert set(errors) == {"count/MAE", "count/RMSE", "count/NAE"}


def test_metric_names_both_errors_and_saves(tmp_path):
    metric = METRICS.build({"type": "CountMetric", "out_dir": str(tmp_path / "out")})
    for name, predicted, count in (("a", 12.0, 10), ("b", 5.0, 9)):
        density = torch.full((2, 3), predicted / 6)
        metric.process({}, [{"name": name, "predicted_count": predicted, "count": count, "density": density}])
    errors = metric.evaluate(size=2)
    assert errors == {
        "count/MAE": 3.0,
        "count/RMSE": pytest.approx(10**0.5),
        "count/NAE": pytest.approx((0.2 + 4 / 9) / 2),
    }
    assert load_counts(tmp_path / "out") == {"a": 12.0, "b": 5.0}
    np.testing.assert_allclose(load_map(tmp_path / "out", "b"), np.full((2, 3), 5 / 6), rtol=1e-6)
    with pytest.raises(FileNotFoundError, match=r"tools/test\.py"):
        load_counts(tmp_path)


def test_density_is_drawn_where_it_is(tmp_path):
    Image.new("RGB", (90, 60), (100, 100, 100)).save(tmp_path / "a.png")
    sample = sample_of(60, 90, name="a", count=7, img_path=str(tmp_path / "a.png"))
    sample.density = torch.zeros(8, 12)
    sample.density[2, 9] = 3.0
    sample.predicted_count = 3.0
    drawn = drawing_of(sample)
    body = drawn[-60:, :90].astype(int)
    changed = np.abs(body - 100).sum(2) > 30
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 20) < 4
    assert abs(columns.mean() - 76) < 4
    assert drawn.shape[0] > 60  # the title
    assert (drawn[:-60] < 100).any()
