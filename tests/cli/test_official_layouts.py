"""Each protocol from the official layout of its data set to a score, on one rank or two that share its batch."""

from pathlib import Path

import pytest
from helpers import layouts
from mmengine.config import Config

pytestmark = [pytest.mark.mm, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]

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
model = dict(init_cfg=None)
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks["checkpoint"]["published_keys"] = None
""",
}
SMALL_PICTURES = {
    "yolov3": [f"{part}_dataloader.dataset.pipeline.{at}.scale=(96,96)" for part, at in (("train", 4), ("val", 1))],
    "deeplabv3": ["val_dataloader.dataset.pipeline.1.scale=(96,96)"],
    "csrnet": ["train_dataloader.dataset.pipeline.1.size=32"],
}


def train(user, folder, config, images, score, ranks):
    """Train a small net by the config, on ranks that share the batch, to a score."""
    small, net = folder / "small.py", config.split("_")[0]
    small.write_text(LOADERS.format(base=str(ROOT / "configs" / f"{config}.py")) + SMALL[net])
    flags = ("--work-dir", folder / "work", *(["--split-batch"] if ranks > 1 else []))
    said = user("train.py", small, *flags, "--cfg-options", *SMALL_PICTURES[net], cwd=folder, ranks=ranks)
    assert score in said
    assert "WeightRescaling(interval=" in said
    assert Config.fromfile(folder / "work" / "small.py").train_dataloader.batch_size == images // ranks


def test_coco_2014(user, tmp_path):
    """COCO 2017 differs in its paths only; test_finetune.py trains on it."""
    layouts.coco2014(tmp_path / "data" / "coco2014", train=5, val=5, held_out=2)
    user("data/prepare_coco2014.py", "--any-counts", "--root", "data/coco2014", cwd=tmp_path)
    train(user, tmp_path, "yolov3_wrs_coco2014", 8, "bbox_mAP_50", ranks=2)


def test_voc_aug(user, tmp_path):
    layouts.voc_aug(tmp_path / "data", train=6, val=2, added=4)
    user("data/prepare_voc_aug.py", "--any-counts", cwd=tmp_path)
    train(user, tmp_path, "deeplabv3_wrs", 10, "mIoU", ranks=1)


def test_qnrf(user, tmp_path):
    layouts.qnrf(tmp_path / "UCF-QNRF_ECCV18", train=8, test=2)
    sides = ("--sides", 64, 128, "--val", 2)
    user("data/prepare_qnrf.py", "--any-counts", "UCF-QNRF_ECCV18", "data/qnrf", *sides, cwd=tmp_path)
    train(user, tmp_path, "csrnet_wrs", 32, "count/MAE", ranks=2)
