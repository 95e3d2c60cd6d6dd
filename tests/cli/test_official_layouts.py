"""Each protocol from the official layout of its data set to a score, on one rank and on two, by documented commands."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import layouts
from mmengine.config import Config

pytestmark = [pytest.mark.mm, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]

DIST_TRAIN = ROOT / "tools" / "dist_train.sh"
LOADERS = """
_base_ = {base!r}
workers = dict(num_workers=0, persistent_workers=False)
train_dataloader, val_dataloader, test_dataloader = dict(workers), dict(workers), dict(workers)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=-1, save_last=False, save_best=None))
"""
SMALL = {
    "yolov3": """
model = dict(
    backbone=dict(_delete_=True, type="MobileNetV2", widen_factor=0.25, out_indices=(2, 4, 6)),
    neck=dict(in_channels=[80, 24, 8], out_channels=[16, 16, 16]),
    bbox_head=dict(in_channels=[16, 16, 16], out_channels=[16, 16, 16]),
    test_cfg=dict(score_thr=0.0, conf_thr=0.0, nms_pre=50),  # the boxes of an untrained net
)
train_cfg = dict(max_epochs=1)
""",
    "deeplabv3": """
model = dict(
    data_preprocessor=dict(size=(96, 96)),
    backbone=dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None),
    decode_head=dict(in_channels=64, channels=16),
)
train_cfg = dict(max_iters=2, val_interval=2)
whole = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), dict(type="PackSegInputs")]
both = [dict(_base_.dataset_train, pipeline=whole), dict(_base_.dataset_aug, pipeline=whole)]
train_dataloader.update(dataset=dict(datasets=both))
""",
    "csrnet": """
model = dict(pretrained=None)
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks["checkpoint"]["published_keys"] = None
""",
}


@pytest.fixture
def user(tmp_path):
    """Give a command in an empty folder, and return what it printed."""

    def give(*command, ok=True):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        paths = {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "PORT": port, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*map(str, command)],
            cwd=tmp_path,
            env={**os.environ, **paths},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode == 0) == ok, done.stdout[-1500:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    return give


def prepare(user, name, *args):
    """Prepare a set that has not the official counts."""
    command = (sys.executable, ROOT / "tools" / "data" / name, *args)
    assert "--any-counts" in user(*command, ok=False)
    user(*command, "--any-counts")


def train_on_one_and_two_ranks(user, folder, config, shares, score, *options):
    """Train on one rank, and on two that share the batch."""
    small = folder / "small.py"
    small.write_text(LOADERS.format(base=str(ROOT / "configs" / f"{config}.py")) + SMALL[config.split("_")[0]])
    for gpus, flags in ((1, ()), (2, ("--split-batch",))):
        work = folder / f"work{gpus}"
        said = user(DIST_TRAIN, small, gpus, "--work-dir", work, *flags, *options)
        assert score in said
        assert "WeightRescaling(interval=" in said
        saved = Config.fromfile(work / "small.py")
        assert saved.train_dataloader.batch_size == shares[gpus]


def test_coco_2017(user, tmp_path):
    layouts.coco(tmp_path / "data" / "coco", 2017, train=8, val=2)
    train_on_one_and_two_ranks(user, tmp_path, "yolov3_wrs", {1: 8, 2: 4}, "bbox_mAP_50")
    assert "--split-batch keeps the protocol" in user(DIST_TRAIN, tmp_path / "small.py", 2, ok=False)


def test_coco_2014(user, tmp_path):
    layouts.coco2014(tmp_path / "data" / "coco2014", train=5, val=5, held_out=2)
    prepare(user, "prepare_coco2014.py", "--root", "data/coco2014")
    train_on_one_and_two_ranks(user, tmp_path, "yolov3_wrs_coco2014", {1: 8, 2: 4}, "bbox_mAP_50")


def test_voc_aug(user, tmp_path):
    layouts.voc_aug(tmp_path / "data", train=6, val=2, added=4)
    prepare(user, "prepare_voc_aug.py")
    train_on_one_and_two_ranks(user, tmp_path, "deeplabv3_wrs", {1: 10, 2: 5}, "mIoU")


def test_qnrf(user, tmp_path):
    layouts.qnrf(tmp_path / "UCF-QNRF_ECCV18", train=8, test=2)
    prepare(user, "prepare_qnrf.py", "UCF-QNRF_ECCV18", "data/qnrf", "--sides", 64, 128, "--val", 2)
    crop = ("--cfg-options", "train_dataloader.dataset.pipeline.1.size=32")
    train_on_one_and_two_ranks(user, tmp_path, "csrnet_wrs", {1: 32, 2: 16}, "count/MAE", *crop)
