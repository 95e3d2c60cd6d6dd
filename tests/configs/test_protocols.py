"""Every config loads, and the protocol configs have the settings of their papers."""

import math
import re

import pytest
from helpers.config_keys import CONFIGS, at, config

pytestmark = pytest.mark.mm
YOLOV3 = {
    "train_cfg.max_epochs": 100,
    "param_scheduler.0.type": "LinearLR",
    "param_scheduler.1.type": "CosineAnnealingLR",
    "param_scheduler.1.T_max": 100,
    "train_dataloader.batch_size": 8,
    "input_scale": (640, 320),
    "default_hooks.checkpoint.save_best": "coco/bbox_mAP_50",
    "model.backbone.init_cfg.checkpoint": "open-mmlab://darknet53",
    "model.backbone.norm_eval": False,
    "model.backbone.frozen_stages": -1,
}
DEEPLABV3 = {
    "optim_wrapper.optimizer": {"type": "AdamW", "lr": 1e-4, "weight_decay": 2e-4},
    "param_scheduler.0.type": "PolyLR",
    "param_scheduler.0.eta_min": 1e-6,
    "default_hooks.checkpoint.save_best": "mIoU",
    "model.backbone.depth": 101,
    "model.backbone.strides": (1, 2, 2, 1),
    "model.backbone.dilations": (1, 1, 1, 2),
    "model.backbone.norm_eval": False,
    "model.backbone.init_cfg.checkpoint": "open-mmlab://resnet101_v1c",
    "model.decode_head.dilations": (1, 6, 12, 18),
    "model.auxiliary_head": None,
}
VOC = DEEPLABV3 | {
    "train_cfg.max_iters": 52 * 10_582 // 10,
    "param_scheduler.0.end": 55_026,
    "train_dataloader.batch_size": 10,
    "auto_scale_lr.base_batch_size": 10,
    "model.decode_head.num_classes": 21,
}
CITYSCAPES = DEEPLABV3 | {
    "train_cfg.max_iters": 40_000,
    "param_scheduler.0.end": 40_000,
    "model.data_preprocessor.size": (512, 1024),
    "model.decode_head.num_classes": 19,
}
CSRNET = {
    "optim_wrapper.optimizer": {"type": "Adam", "lr": 1e-4, "weight_decay": 1e-4},
    "train_cfg.max_epochs": 300,
    "train_dataloader.batch_size": 32,
    "default_hooks.checkpoint.save_best": "count/MAE",
}
PROTOCOLS = {
    **{f"yolov3_{method}": YOLOV3 for method in ("wd", "wrs", "wrs_ic", "aws", "pgd", "adamp")},
    **{f"yolov3_{method}_noclip": YOLOV3 | {"optim_wrapper.clip_grad": None} for method in ("wd", "wrs")},
    **{f"deeplabv3_{method}": VOC for method in ("wd", "wrs", "wrs_ic", "aws", "pgd")},
    **{f"deeplabv3_{method}_cityscapes": CITYSCAPES for method in ("wd", "wrs")},
    **{f"csrnet_{method}": CSRNET for method in ("wd", "wrs", "wrs_ic", "aws", "pgd")},
}
CLASSES = {"cifar10": 10, "cifar100": 100, "tinyimagenet": 200, "imagenet": 1000}


def sgd(lr, decay):
    return {"optim_wrapper.optimizer": {"type": "SGD", "lr": lr, "momentum": 0.9, "weight_decay": decay}}


def schedule(epochs, batch, steps=None):
    kind = {"type": "MultiStepLR", "milestones": steps, "gamma": 0.1} if steps else {"type": "CosineAnnealingLR"}
    settings = {
        "train_cfg.max_epochs": epochs,
        "train_dataloader.batch_size": batch,
        "auto_scale_lr.written_for": batch,
    }
    return settings | {f"param_scheduler.0.{key}": value for key, value in kind.items()}


# WRS paper, III-B and VI-A; constrained paper, 4.1.1 and Table 4; AWS paper, experimental setting
PIXELS_TO_ONE = {"model.data_preprocessor.mean": [0.0] * 3, "model.data_preprocessor.std": [255.0] * 3}
for data in ("cifar10", "cifar100", "tinyimagenet"):
    for net in ("vgg16bn", "resnet18", "wrn28_10"):
        plan = schedule(100, 100, [30, 60]) if net == "vgg16bn" else schedule(200, 100, [60, 120, 160])
        PROTOCOLS[f"classification/{net}_wd_{data}"] = sgd(0.1, 5e-4) | plan | PIXELS_TO_ONE
    if data != "tinyimagenet":
        for net in ("cnn9", "resnet110"):
            PROTOCOLS[f"classification/{net}_wd_{data}"] = sgd(0.1, 5e-4) | schedule(200, 128)
PROTOCOLS["classification/resnet110_pgd_cifar10"] = sgd(0.2, 1e-3) | schedule(200, 128)
PROTOCOLS["classification/cnn4_wd_cifar10"] = schedule(100, 128, [50, 80])  # L2 paper, section 6
for method in ("wd", "aws"):
    PROTOCOLS[f"classification/resnet50_{method}_imagenet"] = sgd(0.1, 1e-4) | schedule(100, 256, [30, 60, 90])
PROTOCOLS["classification/resnet50_aws_imagenet"]["optim_wrapper.regularizer.alpha"] = 2.5e-3


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_protocol_is_the_papers(name):
    settings = config(name)
    assert {key: at(settings, key) for key in PROTOCOLS[name]} == PROTOCOLS[name]


EVERY = sorted(path.relative_to(CONFIGS).with_suffix("") for path in CONFIGS.rglob("*.py"))
EVERY = [str(name) for name in EVERY if name.parts[0] != "_base_"]


@pytest.mark.parametrize("name", EVERY)
def test_every_config_loads_and_imports_the_package(name):
    settings = config(name)
    assert settings.custom_imports.imports == ["normreg_plugins"]
    assert settings.optim_wrapper.constructor == "NormRegOptimWrapperConstructor"
    in_mini = name.startswith("mini/") and "csrnet" not in name
    assert settings.get("work_dir") == (f"work_dirs/{name}" if in_mini else None)  # else --resume would mix them up
    if name.startswith("classification/"):
        data = name.rpartition("_")[2]
        assert settings.model.head.num_classes == CLASSES[data]
        for dataset in (settings[f"{phase}_dataloader"].dataset for phase in ("train", "val", "test")):
            assert dataset.data_root == f"data/{data}/"
            assert not dataset.get("download")  # several machines would download at the same time


@pytest.mark.parametrize("method", ["wd", "wrs", "wrs_ic", "aws", "pgd", "adamp"])
def test_rate_times_decay_is_the_papers_for_yolov3(method):
    optimizer = config(f"yolov3_{method}").optim_wrapper.optimizer
    decay = 1e-3 if method == "pgd" else 5e-4
    assert optimizer.lr * optimizer.weight_decay == pytest.approx(0.01 * decay)
    if optimizer.type == "SGD":
        assert optimizer.lr == pytest.approx(0.01 / 8)


STD = 0.025  # the smallest mean std of our nets at random initialization: CSRNet 0.026, DeepLabv3 and YOLOv3 0.06
IMAGES = {"yolov3": 117_266, "deeplabv3": 0, "csrnet": 1_081, "classification/resnet50": 1_281_167}
IMAGES |= {"mini/yolov3": 400, "mini/deeplabv3": 0, "mini/csrnet": 96, "mini/resnet18": 400}  # 0: counted in updates


def sum_of_rates(settings, images):
    lr, train = settings.optim_wrapper.optimizer.lr, settings.train_cfg
    updates = train.get("max_iters") or train.max_epochs * math.ceil(images / settings.train_dataloader.batch_size)
    shapes = [each for each in settings.param_scheduler if each.type != "LinearLR"]  # a short warm-up
    if not shapes:
        return lr * updates
    (shape,) = shapes
    if shape.type == "CosineAnnealingLR":
        return lr / 2 * updates
    if shape.type == "MultiStepLR":
        ends = (*shape.milestones, train.max_epochs)
        epochs = sum((end - begin) * shape.gamma**i for i, (begin, end) in enumerate(zip((0, *ends), ends)))
        return lr * epochs * updates / train.max_epochs
    assert shape.type == "PolyLR"
    return ((lr - shape.eta_min) / (shape.power + 1) + shape.eta_min) * updates


@pytest.mark.parametrize("net", IMAGES)
def test_aws_would_shrink_filters_by_a_tenth_or_more(net):
    """AWS multiplies a filter by 1 - lr * alpha * std in each update. Over a training this must amount to something."""
    settings = config(f"{net}_aws" + ("_imagenet" if "resnet50" in net else ""))
    alpha, rates = settings.optim_wrapper.regularizer.alpha, sum_of_rates(settings, IMAGES[net])
    assert alpha * rates * STD > 0.1
    assert settings.optim_wrapper.optimizer.lr * alpha * 0.25 < 0.5  # the largest std at initialization
    if not net.startswith("mini"):
        page = (CONFIGS.parent / "docs" / "protocols.md").read_text()
        numbers = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", page)
        assert {f"{rates:,.0f}", f"{rates:.2f}", f"{alpha * rates:.0f}"} & {*numbers}


def test_the_tables_of_the_readme_name_every_protocol_and_every_small_one_from_public_weights():
    said = (CONFIGS / "README.md").read_text()
    named = [name for name in EVERY if "/" not in name or re.match("small/.*_(mobilenetv2|vgg16bn)_", name)]
    assert [name for name in named if f"`{name.removeprefix('small/')}.py`" not in said] == []
