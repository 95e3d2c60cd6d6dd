"""The same training in mmpretrain, at a paper's size: a baseline of configs/classification, and what changes it.

The words are those of `Training`; without one, what the baseline says stays. `data` is 'cifar10', 'cifar100',
'tinyimagenet' or 'imagenet'; with `validated`, so many images at the end of CIFAR's training set choose rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from normreg_plugins.cli.mm_runs import build_runner, check_or_refuse, read_config
from research.cifar.fast_auto_augment import fast_auto_augment
from research.cifar.training import DROPS, OPTIMIZERS, PIXELS, hold_first_norms_, method_of, resolved
from research.nets import conv_weights, filter_norms

ROOT = Path(__file__).resolve().parents[2]
Settings = Mapping[str, Any]
Options = dict[str, Any]
"""As `--cfg-options` takes them."""
NORMS: dict[str, Options] = {
    "batch": {"type": "BN"},
    "group": {"type": "GN", "num_groups": 16},
    "mean_only": {"type": "NormRegMeanOnlyBN"},
    "none": {"type": "NormRegFoldedNorm"},
}
CROP, FLIP = {"type": "RandomCrop"}, {"type": "RandomFlip", "prob": 0.5, "direction": "horizontal"}
LAST_SCALES = {"resnet110": "*.bn2", "wrn28_10": "*.bn2", "resnet18": "*.layer*.bn2", "resnet50": "*.layer*.bn3"}
"""The last scale-bias layers of residual branches."""
IMPORTS = ["normreg_plugins", "research.cifar.in_mm"]
FILTERS = ("conv", "downsample.0", "shortcut.0")
"""Parts of the names of all convolutions."""


def config_of(run: Settings) -> Path:
    return ROOT / "configs" / "classification" / f"{run['net']}_wd_{run['data']}.py"


def options_of(run: Settings) -> Options:
    """What changes the baseline."""
    run = resolved(run)
    found: Options = {}
    for word in run:
        if word in TRANSLATED:
            found |= TRANSLATED[word](run)
        elif word not in ("net", "data"):
            raise ValueError(f"there is no setting {word!r} in mmpretrain, only net, data, {', '.join(TRANSLATED)}")
    hooks = [hook for word in ("sigma", "initial_scale", "convert") if word in run for hook in HOOKS_OF[word](run)]
    return found | ({"custom_hooks": hooks, "custom_imports.imports": IMPORTS} if hooks else {})


@cache
def _baseline(path: Path) -> Config:
    return Config.fromfile(path)


def _optimizer(run: Settings) -> Options:
    base = _baseline(config_of(run)).optim_wrapper.optimizer.to_dict()
    if "optimizer" in run:
        name, options = OPTIMIZERS[run["optimizer"]]
        base = {"lr": base["lr"], "weight_decay": base["weight_decay"], **options}
        base["type"] = "NormRegAdamP" if name == "AdamP" else name
    rate = run.get("rate", base["lr"]) * run.get("rate_times", 1)
    if "rate_is_for_batch" in run:
        rate *= run["batch"] / run["rate_is_for_batch"]
    decay = run.get("weight_decay", base["weight_decay"])
    return {"optim_wrapper.optimizer": {**base, "_delete_": True, "lr": rate, "weight_decay": decay}}


def _filter_decay(run: Settings) -> Options:
    """The weight decay of the filters alone, relative to that of the rest."""
    rest = _optimizer(run)["optim_wrapper.optimizer"]["weight_decay"]
    times = {"decay_mult": run["filter_decay"] / rest}
    return {"optim_wrapper.paramwise_cfg.custom_keys": dict.fromkeys(FILTERS, times)}


def _method(run: Settings) -> Options:
    """The method and, as its paper has it, what else has no weight decay."""
    method = method_of(run["method"] or {"type": "WD"}, "head.fc")
    if "select" in run:
        method["select"] = run["select"]
    if "phase" in run:
        epochs = run.get("epochs") or _baseline(config_of(run)).train_cfg.max_epochs
        begin, end = (round(part * epochs) for part in run["phase"])
        method |= {"begin": begin, "end": end, "unit": "epoch"}
    undecayed = {"AWS": "bias_decay_mult", "PGD": "flat_decay_mult"}.get(method["type"])
    paramwise = {f"optim_wrapper.paramwise_cfg.{undecayed}": 0.0} if undecayed else {}
    return {"optim_wrapper.regularizer": {**method, "_delete_": True}, **paramwise}


def _convert(run: Settings) -> Options:
    if run["convert"] == "pgd":
        constant = {} if run.get("noise") == "linear" else {"sigma": run.get("sigma", 0.0)}
        return {"model.backbone.norm_cfg": {"_delete_": True, "type": "NormRegScaleBias", **constant}}
    if not run["convert"]:
        return {}
    learned = {"gain": True} if run["convert"] == "bwn" else {}
    guard = {"eps": run["guard"]} if "guard" in run else {}
    conv = {"type": f"NormReg{run['convert'].upper()}Conv2d", **learned, **guard}
    return {"model.backbone.conv_cfg": conv}  # no baseline has one


def _schedule(run: Settings) -> Options:
    epochs = run["epochs"]
    milestones = [round(part * epochs) for part in run.get("drops", DROPS)]
    shapes = {
        "cosine": {"type": "CosineAnnealingLR", "T_max": epochs, "end": epochs, "convert_to_iter_based": True},
        "drops": {"type": "MultiStepLR", "milestones": milestones, "gamma": 0.1},
        "constant": {"type": "ConstantLR", "factor": 1.0, "end": epochs},
    }
    scheduler = {"param_scheduler": [{**shapes[run["schedule"]], "by_epoch": True}]} if "schedule" in run else {}
    return {"train_cfg.max_epochs": epochs, **scheduler}


def _batch(run: Settings) -> Options:
    keys = ("train_dataloader.batch_size", "auto_scale_lr.base_batch_size", "auto_scale_lr.written_for")
    return dict.fromkeys(keys, run["batch"])


def _augment(run: Settings) -> Options:
    """'crop_flip' moves a picture by up to 4 pixels; 'fast_aa' adds Fast AutoAugment and Cutout."""
    crop = {**CROP, "crop_size": 32, "padding": 4}
    more = fast_auto_augment() if run["augment"] == "fast_aa" else []
    return {"train_dataloader.dataset.pipeline": [*more[:1], crop, FLIP, *more[1:], {"type": "PackInputs"}]}


def _pixels(run: Settings) -> Options:
    """'standard': mean 0 and deviation 1, which a net without norm layers needs."""
    mean, std = PIXELS[run["data"]]
    return {"model.data_preprocessor.mean": list(mean), "model.data_preprocessor.std": list(std)}


def _held_back(run: Settings) -> Options:
    if run["data"] not in ("cifar10", "cifar100"):
        return {}
    dataset = "val_dataloader.dataset"
    count = {"train_dataloader.dataset.indices": 50_000 - run["validated"], f"{dataset}.indices": -run["validated"]}
    return {**count, f"{dataset}.split": "train"}


def _model(run: Settings, part: str) -> Options:
    return {f"model.{part}.{key}": value for key, value in run[part].items()}


def _checkpoints(run: Settings) -> Options:
    epochs = run.get("epochs") or _baseline(config_of(run)).train_cfg.max_epochs
    keep = "default_hooks.checkpoint."
    return {keep + "max_keep_ckpts": -1, keep + "interval": max(1, epochs // run["checkpoints"])}


def _nothing(_: Settings) -> Options:
    """For a word that is part of another."""
    return {}


Translate = Callable[[Settings], Options]
TRANSLATED: dict[str, Translate] = {
    **dict.fromkeys(("optimizer", "rate", "rate_times", "rate_is_for_batch", "weight_decay"), _optimizer),
    "filter_decay": _filter_decay,
    "method": _method,
    "convert": _convert,
    "norm_decay": lambda run: {"optim_wrapper.paramwise_cfg.norm_decay_mult": float(run["norm_decay"])},
    "norm": lambda run: {"model.backbone.norm_cfg": {"_delete_": True, **NORMS[run["norm"]]}},
    **dict.fromkeys(("phase", "noise", "sigma", "initial_scale", "guard", "looks", "select"), _nothing),
    **dict.fromkeys(("epochs", "schedule", "drops"), _schedule),
    "batch": _batch,
    "augment": _augment,
    "pixels": _pixels,
    "validated": _held_back,
    "block": lambda run: {"model.backbone.block": run["block"]},
    **{part: partial(_model, part=part) for part in ("backbone", "head")},
    "checkpoints": _checkpoints,
}


@HOOKS.register_module()
class ScaledStart(Hook):
    """Filters that begin `times` as large (AWS paper, Fig. 5 and 6)."""

    def __init__(self, times: float) -> None:
        self._times = times

    @torch.no_grad()
    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0:
            for weight in conv_weights(runner.model):
                weight.mul_(self._times)


@HOOKS.register_module()
class FirstMatrixNorm(Hook):
    """Convolutions with BWN compute with the matrix norm that they begin with (Hoffer et al. 2018)."""

    def before_train(self, runner: Runner) -> None:
        hold_first_norms_(runner.model, begins=runner.iter == 0)


def _noise_hooks(run: Settings) -> list[Options]:
    return [{"type": "NormRegLinearNoiseHook", "sigma": run["sigma"]}] if run.get("noise") == "linear" else []


def _layer_hooks(run: Settings) -> list[Options]:
    if run["convert"] == "pgd" and run["net"] in LAST_SCALES and run.get("block") != "preactivated":
        return [{"type": "NormRegZeroScaleHook", "names": [LAST_SCALES[run["net"]]]}]
    return [{"type": "FirstMatrixNorm"}] if run["convert"] == "bwn" else []


HOOKS_OF = {
    "sigma": _noise_hooks,
    "initial_scale": lambda run: [{"type": "ScaledStart", "times": run["initial_scale"]}],
    "convert": _layer_hooks,
}


def model_and_images(run: Settings, count: int) -> tuple[nn.Module, Tensor]:
    """The net with random weights, and so many pictures of the training set as it sees them."""
    cfg = read_config(config_of(run), options_of(run))
    cfg.train_dataloader |= {"batch_size": count, "num_workers": 0, "persistent_workers": False}
    runner = build_runner(cfg)
    batch = next(iter(runner.build_dataloader(cfg.train_dataloader, seed=0)))
    return runner.model.cpu(), runner.model.cpu().data_preprocessor(batch)["inputs"]


def train_in_mm(run: Settings, seed: int, folder: Path) -> tuple[float, dict[str, float], dict[str, Any]]:
    """Train to the last epoch, and test that. A training that was stopped goes on from its last epoch."""
    config = config_of(run)
    only = {"randomness.seed": seed, "visualizer.name": folder.name, "resume": True}
    cfg = read_config(config, {"default_hooks.checkpoint.max_keep_ckpts": 1, **only, **options_of(run)}, folder)
    cfg.default_hooks.checkpoint.save_best = None
    check_or_refuse(cfg, str(config), ("train", "val", "test"))
    runner = build_runner(cfg)
    runner.train()
    validation = float(runner.message_hub.get_scalar("val/accuracy/top1").current())
    found = runner.test()
    norms = [filter_norms([weight]).mean().item() for weight in conv_weights(runner.model)]
    if "checkpoints" not in run:
        for path in folder.glob("epoch_*.pth"):
            path.unlink()
    test = {"accuracy": float(found["accuracy/top1"]), "top5": float(found["accuracy/top5"]), "first_norm": norms[0]}
    return validation, test, {"filter_norm": sum(norms) / len(norms)}
