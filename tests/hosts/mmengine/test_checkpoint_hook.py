"""Whatever stops a run: it resumes from its last good checkpoint and ends as a run that was never stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest
import torch
from helpers.mm_toy import config, loader, train, weights
from mmengine.hooks import Hook
from mmengine.runner import Runner

from normreg_plugins.hosts.mmengine.checkpoint_hook import WholeFiles

pytestmark = pytest.mark.mm
ROOT = Path(__file__).resolve().parents[3]
WRS = {"type": "WRS", "interval": 4}
LONG = {"train_cfg.max_epochs": 4}
ONE_KEPT = {"checkpoint": {"max_keep_ckpts": 1}}
EVALUATION = {
    "val_dataloader": loader(),
    "val_cfg": {"type": "ValLoop"},
    "val_evaluator": {"type": "MeanScore"},
}

PRELUDE = """
import resource, signal, sys, time
from helpers.mm_toy import train
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # a write beyond the limit ends the process, as kill -9 would

@HOOKS.register_module()
class DieWhileSaving(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        if runner.epoch == 1:  # the second
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

@HOOKS.register_module()
class Dawdle(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        time.sleep(0.05)
"""


def killed(script, until=None):
    """Run a script in a process of its own, and return its exit code. It is killed once the file `until` exists."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    code = PRELUDE + textwrap.dedent(script)
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
    if until is not None:
        deadline = time.monotonic() + 120
        while not until.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode < 0, errors
    return signal.Signals(-process.returncode)


def last_checkpoint(folder):
    return Path((folder / "last_checkpoint").read_text())


def assert_goes_on_to_the_same_end(folder):
    whole = train(folder / "whole", WRS, **LONG)
    rest = train(folder / "killed", WRS, resume=True, default_hooks=ONE_KEPT, **LONG)
    assert rest.epoch == 4
    assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(whole).items())
    assert last_checkpoint(folder / "killed").name == "epoch_4.pth"


def run_that_dies(folder, kind="NormRegCheckpointHook", hook="DieWhileSaving"):
    return f"""
        checkpoint = {{"type": {kind!r}, "max_keep_ckpts": 1}}
        hooks = [{{"type": {hook!r}}}]
        train({str(folder)!r}, {WRS!r}, default_hooks={{"checkpoint": checkpoint}}, custom_hooks=hooks, **{LONG!r})
    """


def test_killed_while_saving(tmp_path):
    assert killed(run_that_dies(tmp_path / "killed")) == signal.SIGXFSZ
    (torn,) = (tmp_path / "killed").glob(".unfinished-*")
    assert 0 < torn.stat().st_size <= 2000  # it was in the middle of writing
    assert last_checkpoint(tmp_path / "killed").name == "epoch_1.pth"
    assert_goes_on_to_the_same_end(tmp_path)


def test_theirs_leaves_nothing_to_go_on_from(tmp_path):
    """The same death with mmengine's own hook; if it saves whole files one day, ours may go."""
    assert killed(run_that_dies(tmp_path / "killed", "CheckpointHook")) == signal.SIGXFSZ
    (torn,) = (tmp_path / "killed").glob("*.pth")
    assert not zipfile.is_zipfile(torn)
    assert not last_checkpoint(tmp_path / "killed").exists()


def test_killed_while_training(tmp_path):
    script = run_that_dies(tmp_path / "killed", hook="Dawdle")
    assert killed(script, until=tmp_path / "killed" / "epoch_2.pth") == signal.SIGKILL
    assert_goes_on_to_the_same_end(tmp_path)


class SomethingIsWhole(Hook):
    """Before each checkpoint is written, records which whole ones exist, in case this one never will."""

    def __init__(self, folder):
        self.folder, self.left = folder, []

    def before_save_checkpoint(self, runner, checkpoint):
        whole = {path.name for path in self.folder.glob("*.pth") if zipfile.is_zipfile(path)}
        self.left.append((whole, (self.folder / "last_checkpoint").exists() and last_checkpoint(self.folder).exists()))


@pytest.mark.parametrize("indicators", [[], ["score"], ["score", "other/score"]], ids=str)
def test_the_outdated_goes_only_when_the_next_is_there(tmp_path, indicators):
    metrics = [{"type": "MeanScore"}, {"type": "MeanScore", "prefix": "other"}]
    best = {"save_best": indicators, "rule": "less"} if indicators else {}
    checkpoint = {"max_keep_ckpts": 1, **best}
    changes = {**EVALUATION, "val_evaluator": metrics, "default_hooks": {"checkpoint": checkpoint}, **LONG}
    runner = Runner.from_cfg(config(tmp_path, WRS, **changes))
    look = SomethingIsWhole(tmp_path)
    runner.register_hook(look)
    runner.train()
    assert len(look.left) >= 4
    for whole, named in look.left[1:]:
        assert named
        assert [name for name in whole if name.startswith("epoch")]
    for indicator in indicators:
        start = f"best_{indicator.replace('/', '_')}_epoch"
        there = [any(name.startswith(start) for name in whole) for whole, _ in look.left]
        assert there == sorted(there)  # once there, always there
        assert there[-1]
        assert len(list(tmp_path.glob(f"{start}*"))) == 1
    assert len(list(tmp_path.glob("epoch_*.pth"))) == 1


def test_a_best_that_stays_is_kept(tmp_path):
    """With a score that only falls, the first checkpoint is the best. Later saves do not remove it."""
    checkpoint = {"max_keep_ckpts": 1, "save_best": "score", "rule": "greater"}
    runner = train(tmp_path, WRS, default_hooks={"checkpoint": checkpoint}, **EVALUATION, **LONG)
    best = runner.message_hub.get_info("best_ckpt")
    assert [str(path) for path in tmp_path.glob("best_*.pth")] == [best]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "some" / "file"
    WholeFiles().put_text("old", target)
    with pytest.raises(TypeError):
        WholeFiles().put(object(), target)
    assert target.read_text() == "old"
    WholeFiles().put(b"new", target)
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert target.read_bytes() == b"new"


def test_a_validation_without_the_score_of_the_best_checkpoint_does_not_end_the_run(tmp_path):
    """mmdet leaves mAP out of the scores of a model that detects nothing; mmengine's hook ends in a KeyError."""
    best = {"type": "NormRegCheckpointHook", "interval": 1, "save_best": "mAP", "rule": "greater"}
    runner = train(tmp_path, {"type": "WRS"}, default_hooks={"checkpoint": best})
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == "NormRegCheckpointHook")
    hook._save_best_checkpoint(runner, {"loss": 1.0})
    assert not [*tmp_path.glob("best_*")]
    hook._save_best_checkpoint(runner, {"mAP": 0.5})
    assert len([*tmp_path.glob("best_mAP_*.pth")]) == 1
