"""Small runs of configs/finetune from drawn checkpoints on drawn data, in a module that fresh processes import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from mmdet.models.backbones import Darknet
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS, MODELS, init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

from helpers import layouts
from helpers.layer_cases import fill_norms_
from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.cli.main import main
from normreg_plugins.cli.preflight.check import check
from normreg_plugins.cli.preflight.total_batch import split_batch
from normreg_plugins.hosts.mmengine import handles_of, read_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "finetune"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))
IMAGES, BATCH, SIDE = 8, 4, 64  # two images on each of two ranks, so two values behind the image pool
CLASSES = {"yolov3": 80, "deeplabv3": 171, "csrnet": 0}
"""Of the published checkpoints."""


@MODELS.register_module()
class TinyDarknet(Darknet):
    """mmdet's Darknet with one block in each stage, and few channels."""

    arch_settings: ClassVar = {53: ((1, 1, 1, 1, 1), ((32, 8), (8, 8), (8, 16), (16, 16), (16, 16)))}


def draw_data(folder: Path) -> None:
    """data/ in the official layouts, with eight pictures to train on in each."""
    layouts.coco(folder / "data" / "coco", 2017, train=IMAGES, val=1)
    layouts.voc_aug(folder / "data", train=IMAGES // 2, val=1, added=IMAGES // 2)
    main(["prepare-voc-aug", "--any-counts"])
    layouts.voc_boxes(folder / "data" / "VOCdevkit", train={2007: IMAGES // 2, 2012: IMAGES // 2}, test=1)
    make_mini_set("crowd", folder / "crowd", train=IMAGES + 1, val=1, size=SIDE)
    sides = ["--sides", str(SIDE), "128", "--val", "1", "--any-counts"]
    main(["prepare-qnrf", str(folder / "crowd"), str(folder / "data" / "qnrf"), *sides])


def small_config(name: str) -> Config:
    """A config of configs/finetune, or of the protocols, with few channels on small pictures."""
    cfg = read_config(
        next(path for path in (CONFIGS / "finetune" / f"{name}.py", CONFIGS / f"{name}.py") if path.is_file())
    )
    task = name.split("_")[0]
    if task == "yolov3":
        cfg.model.backbone.type = "TinyDarknet"
        cfg.model.neck.update(in_channels=[16, 16, 16], out_channels=[16, 16, 16])
        cfg.model.bbox_head.update(in_channels=[16, 16, 16], out_channels=[16, 16, 16])
    elif task == "deeplabv3":
        cfg.model.backbone.update(depth=18, base_channels=8, stem_channels=8)
        cfg.model.decode_head.update(in_channels=64, channels=8)
        cfg.model.data_preprocessor.size = (SIDE, SIDE)
        if cfg.model.get("auxiliary_head"):
            cfg.model.auxiliary_head.update(in_channels=32, channels=8)
    else:
        cfg.model.backbone.width = 0.1
    for step in _steps(cfg.train_dataloader.dataset):
        step.update(
            {
                "RandomResize": {"scale": (2 * SIDE, SIDE)},
                "RandomCrop": {"crop_size": (SIDE, SIDE)},
                "Pad": {"size": (SIDE, SIDE)},
                "Resize": {"scale": (2 * SIDE, SIDE)},
                "CrowdRandomCrop": {"size": SIDE // 2},
            }.get(step["type"], {})
        )
    cfg.train_dataloader.update(batch_size=BATCH, num_workers=0, persistent_workers=False)
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader = cfg.val_dataloader
    cfg.auto_scale_lr.update(base_batch_size=BATCH, written_for=BATCH)
    return cfg


def _steps(dataset: ConfigDict) -> list[ConfigDict]:
    return [step for each in dataset.get("datasets", [dataset]) for step in each.get("pipeline", [])]


def build(cfg: Config) -> nn.Module:
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


def publish(file: Path, baseline: str, classes: int = 0) -> nn.Module:
    """Save a network of a baseline whose norm layers have seen data, as a model zoo does. Return it."""
    cfg = small_config(baseline)
    cfg.model.init_cfg = None
    cfg.model.pop("pretrained", None)
    for head in ("bbox_head", "decode_head", "auxiliary_head"):
        if classes and cfg.model.get(head):
            cfg.model[head].num_classes = classes
    torch.manual_seed(1)  # not that of the runs, whose random weights would be these
    net = fill_norms_(build(cfg), 0.5)
    torch.save({"state_dict": net.state_dict(), "meta": {}}, file)
    return net


def start_from(cfg: Config, file: Path) -> None:
    """Replace the published checkpoint by a file."""
    if cfg.get("load_from"):
        cfg.load_from = str(file)
    if cfg.model.get("init_cfg"):
        cfg.model.init_cfg.checkpoint = str(file)


def run(cfg: Config, folder: Path, hooks: list[dict[str, Any]], ranks: int = 1) -> Runner:
    """Two updates of a protocol that the ranks share; a baseline on one rank is validated too."""
    split_batch(cfg, ranks)
    length = {"max_iters": 2} if "max_iters" in cfg.train_cfg else {"max_epochs": 1}
    validated = ranks == 1 and cfg.optim_wrapper.regularizer.type == "WD" and not hooks
    cfg.train_cfg.update(**length, val_interval=2 if "max_iters" in length else 1, val_begin=1 if validated else 9)
    cfg.default_hooks = ConfigDict(logger=None, timer=None, checkpoint=None)
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), *hooks]
    cfg.update(work_dir=str(folder), randomness={"seed": 0}, sync_bn=None, env_cfg={}, experiment_name=folder.name)
    if ranks > 1:
        cfg.update(launcher="pytorch", model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None})
    runner = Runner.from_cfg(Config(cfg.to_dict(), format_python_code=False))  # to format it takes a second
    runner.train()
    return runner


def finetune(name: str, folder: Path, rank: int = 0, ranks: int = 1) -> dict[str, Any]:
    """Run a config as it is; what this rank has in the end."""
    cfg = small_config(name)
    start_from(cfg, folder / f"{name.split('_')[0]}.pth")
    if rank == 0:
        check(cfg)
    runner = run(cfg, folder / f"{name} {ranks}", [], ranks)
    (handle,) = handles_of(runner)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    return {"updates": handle.updates, "targets": len(handle.targets), "weights": weights}


def finetune_all(rank: int, folder: Path, ranks: int, names: list[str]) -> list[dict[str, Any]]:
    return [finetune(name, folder, rank, ranks) for name in names]


@HOOKS.register_module()
class FunctionProbe(Hook):
    """Outputs in evaluation when the weights are loaded, and after the first update, which is the method's alone."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.loaded: list[Tensor] = []
        self.acted: list[Tensor] = []

    def before_train(self, runner: Runner) -> None:
        for module in runner.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
        for parameter in runner.model.parameters():
            if parameter.requires_grad:
                parameter.register_hook(torch.zeros_like)
        self.loaded = outputs(runner.model)

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        self.acted = self.acted or outputs(runner.model)


@torch.no_grad()
def outputs(model: Any) -> list[Tensor]:
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    was_training = model.training
    result = model.eval()(images, mode="tensor")
    model.train(was_training)
    return list(result[0] if isinstance(result, tuple) else [result])


def change(before: list[Tensor], after: list[Tensor]) -> float:
    return max(float((b - a).norm() / a.norm()) for a, b in zip(before, after, strict=True))
