"""Preflight looks at the checkpoint that a run resumes from: real runs of mmengine wrote it."""

import pytest
from helpers.mm_toy import config, train

from normreg_plugins.cli.preflight.check import PreflightError, check

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 4}


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_a_config_without_the_method_is_refused(tmp_path, way):
    """mmengine itself would only say that the number of parameter groups differs."""
    train(tmp_path, WRS, way, **{"train_cfg.max_epochs": 1})
    plain = config(tmp_path, resume=True)
    with pytest.raises(PreflightError, match=r"epoch_1\.pth was trained with a method, and this config has none"):
        check(plain)
    check(config(tmp_path, load_from=str(tmp_path / "epoch_1.pth")))
    for same_by in ("constructor", "hook"):
        check(config(tmp_path, WRS, same_by, resume=True))


def test_a_run_without_a_method_resumes_without_one(tmp_path):
    check(config(tmp_path, resume=True))  # there is no checkpoint yet, so the run begins
    train(tmp_path, **{"train_cfg.max_epochs": 1})
    check(config(tmp_path, resume=True))


@pytest.mark.parametrize("harm", ["gone", "torn"])
def test_a_last_checkpoint_that_is_gone_or_torn_is_named(tmp_path, harm):
    train(tmp_path, WRS, **{"train_cfg.max_epochs": 1})
    last = tmp_path / "epoch_1.pth"
    if harm == "gone":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes()[:1000])
    message = {"gone": r"epoch_1\.pth are not at", "torn": r"epoch_1\.pth is no checkpoint, or one that was cut off"}
    with pytest.raises(PreflightError, match=message[harm]):
        check(config(tmp_path, WRS, resume=True))
