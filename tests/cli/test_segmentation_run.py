"""Segmentation as a user runs it: drawn, trained, predicted into a folder, and scored as mmseg scored it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mm
ROOT = Path(__file__).resolve().parents[2]

SMALL = """
_base_ = {base!r}
root = {data!r}
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8),
    decode_head=dict(in_channels=64, channels=16),
)
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=root))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=root))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4, save_best=None), visualization=dict(interval=1))
work_dir = {work!r}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """DeepLabv3 of a few thousand weights on twelve drawn images; its config file."""
    folder = tmp_path_factory.mktemp("small")
    make = [sys.executable, ROOT / "tools" / "data" / "make_mini_data.py", "segmentation"]
    options = ["--out", folder / "data", "--train", "8", "--val", "4", "--size", "96"]
    subprocess.run([*map(str, make + options)], check=True, capture_output=True)
    config = folder / "small.py"
    base = str(ROOT / "configs" / "mini" / "deeplabv3_wrs.py")
    config.write_text(SMALL.format(base=base, data=str(folder / "data"), work=str(folder / "work")))
    return config


@pytest.mark.slow
def test_it_trains_predicts_into_a_folder_and_scores_as_mmseg_did(run_tool, small, tmp_path):
    trained = run_tool("train.py", small)
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert "picture: " in trained.stdout
    checkpoint = small.parent / "work" / "iter_4.pth"
    tested = run_tool("test.py", small, checkpoint, "--out", tmp_path / "wrs", "--work-dir", tmp_path / "work")
    assert tested.returncode == 0, tested.stderr[-3000:]
    assert len(list((tmp_path / "wrs").glob("*.png"))) == 4
    assert not list(tmp_path.glob(".unfinished*"))

    scored = run_tool("eval_miou.py", small, tmp_path / "wrs", "--out", tmp_path / "eval", "--pictures", 2)
    assert scored.returncode == 0, scored.stderr
    (row,) = json.loads((tmp_path / "eval" / "segmentation_metrics.json").read_text()).values()
    told = next(line for line in reversed(tested.stdout.splitlines()) if "mIoU:" in line)
    assert 100 * row["mIoU"] == pytest.approx(float(told.split("mIoU:")[1].split()[0]), abs=0.006)
    assert (tmp_path / "eval" / "segmentation_pictures.png").is_file()


def test_a_pickle_of_all_scores_is_refused(run_tool, small, tmp_path):
    done = run_tool("test.py", small, "none.pth", "--out", tmp_path / "p.pkl")
    assert done.returncode == 2
    assert "must name a folder, for PNG masks" in done.stderr
    assert "Traceback" not in done.stderr
