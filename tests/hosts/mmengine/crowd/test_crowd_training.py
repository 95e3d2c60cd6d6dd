"""The parts together in a Runner: the mini configs train, validate, log and save predictions."""

from __future__ import annotations

import pytest

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from helpers.mini_crowd import mini_config
from mmengine.runner import Runner

from normreg_plugins.crowd import step_memory
from normreg_plugins.evaluation import load_counts, load_map

pytestmark = pytest.mark.mm


@pytest.mark.parametrize("name", ["csrnet_wd", "csrnet_wrs", "csrnet_wrs_ic", "csrnet_aws", "csrnet_pgd"])
def test_every_mini_config_trains_and_validates(name, prepared, tmp_path):
    runner = Runner.from_cfg(mini_config(name, prepared, tmp_path / name))
    before = runner.model.backbone.output.weight.clone()
    runner.train()
    assert runner.iter == 2
    assert not runner.model.backbone.output.weight.equal(before)
    assert runner.message_hub.get_scalar("val/count/MAE").current() > 0
    log = next((tmp_path / name).rglob("*.log")).read_text()
    memory = step_memory(runner.model.backbone, batch=2, side=32)
    assert str(memory) in log
    assert "accumulative_counts" in log
    assert list((tmp_path / name).rglob("vis_image/val_img_0001*.png"))


def test_test_time_predictions_are_saved(prepared, tmp_path):
    cfg = mini_config("csrnet_wd", prepared, tmp_path)
    cfg.test_evaluator.out_dir = str(tmp_path / "predictions")
    errors = Runner.from_cfg(cfg).test()
    counts = load_counts(tmp_path / "predictions")
    assert set(counts) == {"img_0001", "img_0002"}
    for name, number in counts.items():
        density = load_map(tmp_path / "predictions", name)
        assert density.sum() == pytest.approx(number, rel=1e-5)
    assert set(errors) == {"count/MAE", "count/RMSE"}
