import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import OFFLINE, tiny_net
from ultralytics.utils import SettingsManager

from normreg_plugins.cli.data.make_mini_data import make_mini_set

pytestmark = pytest.mark.ultralytics
ROOT = Path(__file__).resolve().parents[2]


def test_a_training_from_the_shell(tmp_path):
    """ultralytics reads the settings in the user's home when it is imported."""
    make_mini_set("yolo", tmp_path / "set", train=4, val=2, size=64)
    (tmp_path / "args.yaml").write_text(
        f"data: {tmp_path}/set/data.yaml\nwrs:\n  interval: 7\n  select: model.0.conv\n"
    )
    settings = tmp_path / ".config" / "Ultralytics" / "settings.json"
    settings.parent.mkdir(parents=True)
    SettingsManager(settings).update(datasets_dir="my_data", wandb=False)
    home = {"HOME": str(tmp_path), "YOLO_OFFLINE": "true", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    train = ("detect", "train", f"model={tiny_net(tmp_path)}", "cfg=args.yaml", "wrs.interval=2")
    command = [sys.executable, ROOT / "tools/yolo/train_ultralytics.py", *train]
    command += [f"{key}={value}" for key, value in OFFLINE.items()]
    done = subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "work_dirs" / "ultralytics" / "train"
    assert "WeightRescaling(interval=2," in done.stdout + done.stderr
    assert "acts on 1 of 24" in done.stdout + done.stderr
    assert "norms/mean" in (folder / "results.csv").read_text()
    after = json.loads(settings.read_text())
    assert (after["datasets_dir"], after["wandb"]) == ("my_data", False)
    assert [*tmp_path.rglob("settings.json")] == [settings]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wrs.intervall=3", "model=tiny.yaml"], "did you mean 'interval'?"),
        (
            ["wsr.interval=3", "model=tiny.yaml"],
            "wsr.interval is no key of ultralytics or of a method; did you mean wr",
        ),
        (["epoch=3", "model=tiny.yaml", "wrs"], "did you mean epochs"),
        (["trian"], "did you mean train"),
        (["val", "model=best.pt"], "use `yolo val`"),
        (["wrs"], "model= is missing"),
        (["cfg=nowhere.yaml"], "cfg=nowhere.yaml: there is no such file"),
    ],
)
def test_what_cannot_run_is_said_before_anything_is_built(tool, arguments, message):
    done = tool("yolo/train_ultralytics.py", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_help_lists_our_keys(tool):
    shown = tool("yolo/train_ultralytics.py", "--help").stdout
    for key in ("wrs.interval", "aws.alpha", "pgd.c", "wrs.decay_on", "https://docs.ultralytics.com/usage/cfg"):
        assert key in shown
