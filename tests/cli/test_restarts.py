"""A run whose rank is killed goes on: torchrun restarts the ranks, and training resumes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmdet")

from helpers import mm_toy
from helpers.processes import free_port
from mmengine.config import Config

from normreg_plugins.cli.mm_runs import _use_new_store_after_restart
from normreg_plugins.cli.train import parser, settle_resume

pytestmark = pytest.mark.mm
ROOT = Path(__file__).resolve().parents[2]

KILLER = """
import os
import signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Killer(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 4 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            open("killed", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_two_ranks_of_which_one_is_killed_end_as_if_none_had_been(user, tmp_path):
    """The broken run goes through the launcher."""
    (tmp_path / "killer.py").write_text(KILLER)
    for name, hooks in (("unbroken", []), ("broken", [{"type": "Killer"}])):
        cfg = mm_toy.config(tmp_path / name, {"type": "WRS", "interval": 2}, custom_hooks=hooks)
        imports = ["helpers.mm_toy", *(["killer"] if hooks else [])]
        cfg.merge_from_dict({"train_cfg.max_epochs": 3, "custom_imports": {"imports": imports}})
        cfg.dump(tmp_path / f"{name}.py")
    user("train.py", tmp_path / "unbroken.py", cwd=tmp_path, ranks=2)
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", tmp_path)))
    env = {"PYTHON": sys.executable, "PYTHONPATH": paths, "PORT": free_port(), "MAX_RESTARTS": "3"}
    command = [ROOT / "tools" / "dist_train.sh", "broken.py", "2"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **env}, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    assert (tmp_path / "killed").is_file()
    one, other = (torch.load(tmp_path / name / "epoch_3.pth", weights_only=False) for name in ("unbroken", "broken"))
    for each in (one, other):
        assert each["optimizer"]["param_groups"][0]["normreg_plugins"] == {"updates": 9}
    for name, value in one["state_dict"].items():
        assert value.equal(other["state_dict"][name]), name
    assert len(list((tmp_path / "broken").glob("2*"))) == 2  # the log folders of two attempts


def test_restarted_ranks_meet_at_a_store_of_their_own(monkeypatch):
    """torchrun's own store, which a killed rank used, answers only sometimes."""
    for name, value in {"MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    for restarts, expected in (("0", ("29500", "True")), ("2", ("29502", "False"))):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", restarts)
        _use_new_store_after_restart()
        assert (os.environ["MASTER_PORT"], os.environ["TORCHELASTIC_USE_AGENT_STORE"]) == expected


def resume(monkeypatch, work_dir, *flags, restarts=0, launched=0):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
    monkeypatch.setenv("NORMREG_LAUNCHED", str(launched))
    cfg = Config({"work_dir": str(work_dir), "load_from": "pretrained.pth", "resume": False})
    settle_resume(cfg, parser().parse_args(["c.py", *flags]))
    return cfg.resume, cfg.load_from


NEW, RESUMED = (False, "pretrained.pth"), (True, None)


def test_a_restart_resumes_what_its_own_launch_has_saved(monkeypatch, tmp_path, capsys):
    last = tmp_path / "last_checkpoint"
    assert resume(monkeypatch, tmp_path, restarts=1) == NEW  # killed before anything was saved
    assert "restart 1: no checkpoint was saved yet, so training begins again" in capsys.readouterr().err
    last.write_text("epoch_1.pth")
    at = last.stat().st_mtime
    assert resume(monkeypatch, tmp_path, restarts=1, launched=at - 5) == RESUMED
    assert "restart 1: training resumes from epoch_1.pth" in capsys.readouterr().err
    assert (
        resume(monkeypatch, tmp_path, restarts=1, launched=at + 5) == NEW
    )  # an older run is not continued by accident
    assert resume(monkeypatch, tmp_path, restarts=0, launched=at - 5) == NEW


def test_resume_without_a_checkpoint_is_a_new_run_from_its_pretrained_weights(monkeypatch, tmp_path, capsys):
    assert resume(monkeypatch, tmp_path, "--resume") == NEW
    assert "has no checkpoint, so this is a new run" in capsys.readouterr().err
    (tmp_path / "last_checkpoint").write_text("epoch_1.pth")
    assert resume(monkeypatch, tmp_path, "--resume") == RESUMED
