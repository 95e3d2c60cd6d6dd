"""AWS shrinks a filter by the factor 1 - lr * alpha * std at each update. Over a training that is not nothing."""

import math
from pathlib import Path

import pytest

pytestmark = pytest.mark.mm
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
STD = 0.025  # the smallest mean std of our nets at random initialization: CSRNet 0.026, DeepLabv3 and YOLOv3 0.06
IMAGES = {
    "yolov3": 117_266,
    "csrnet": 1_081,
    "classification/resnet50_imagenet": 1_281_167,
    "mini/yolov3": 400,
    "mini/csrnet": 96,
    "mini/resnet18": 400,
}
TASKS = ["yolov3", "deeplabv3", "csrnet", "mini/yolov3", "mini/deeplabv3", "mini/csrnet"]
WITH_MMPRETRAIN = [
    pytest.param(name, marks=pytest.mark.mmpretrain) for name in ("classification/resnet50_imagenet", "mini/resnet18")
]


def sum_of_rates(cfg, images):
    lr, train = cfg.optim_wrapper.optimizer.lr, cfg.train_cfg
    updates = train.get("max_iters") or train.max_epochs * math.ceil(images / cfg.train_dataloader.batch_size)
    schedule = [each for each in cfg.param_scheduler if each.type != "LinearLR"]  # a short warm-up
    if not schedule:
        return lr * updates
    (shape,) = schedule
    if shape.type == "CosineAnnealingLR":
        return lr / 2 * updates
    if shape.type == "MultiStepLR":
        ends = (*shape.milestones, train.max_epochs)
        epochs = sum((end - begin) * shape.gamma**i for i, (begin, end) in enumerate(zip((0, *ends), ends)))
        return lr * epochs * updates / train.max_epochs
    assert shape.type == "PolyLR"
    return ((lr - shape.eta_min) / (shape.power + 1) + shape.eta_min) * updates


@pytest.mark.parametrize("name", TASKS + WITH_MMPRETRAIN)
def test_filters_would_shrink_by_a_tenth_or_more(name):
    cfg = pytest.importorskip("mmengine.config").Config.fromfile(CONFIGS / f"{name}_aws.py")
    rates, alpha = sum_of_rates(cfg, IMAGES.get(name)), cfg.optim_wrapper.regularizer.alpha
    assert alpha * rates * STD > 0.1
    assert cfg.optim_wrapper.optimizer.lr * alpha * 0.25 < 0.5  # the largest std at initialization; a step is no jump
    said = (CONFIGS / f"{name}_aws.py").read_text()
    assert any(f"{rates:,.{digits}f} " in said or f"{rates:,.{digits}f}," in said for digits in (0, 1, 2))
