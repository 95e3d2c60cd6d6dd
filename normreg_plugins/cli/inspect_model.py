"""What would a method do to this model? `normreg inspect CONFIG [CHECKPOINT]`

It prints a table: the verdict on every weight, whether the numeric proof agrees, its filter norms, and how many filters
are zero. Then it says how the config's regularizer (WRS if there is none) changes the effective learning rate at the
start of training, and lists the weights that it leaves alone.
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from rich.console import Console
from rich.table import Table
from torch import nn

from normreg_plugins import Verdicts, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.cli.checkpoints import load_weights
from normreg_plugins.cli.console import refuse, wide_console
from normreg_plugins.cli.mm_runs import config_of, require_checkpoint
from normreg_plugins.cli.preflight.check import host_problems
from normreg_plugins.core.model import filters_of
from normreg_plugins.hosts.methods import build_regularizer
from normreg_plugins.monitor import rate_at_start

Forward = Callable[[nn.Module], Any]
STYLES = {"invariant": "green", "compensated": "cyan", "free": "dim", "unsafe": "red"}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("config", type=Path)
    options.add_argument("checkpoint", type=Path, nargs="?")
    options.add_argument(
        "--prove", action=argparse.BooleanOptionalAction, default=True, help="prove the verdicts by numbers"
    )
    options.add_argument("--size", type=int, default=64, help="side of the random images (default: 64)")
    return options


def build_model(args: argparse.Namespace, cfg: Config) -> nn.Module:
    """The model of the config, with the weights of the checkpoint or random ones."""
    if problems := host_problems(cfg):
        refuse(str(problems[0]))
    init_default_scope(cfg.get("default_scope", "mmengine"))
    settings = copy.deepcopy(cfg.model)
    settings.get("data_preprocessor", {}).pop("batch_augments", None)
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(settings))
    if args.checkpoint is not None:
        load_weights(model, args.checkpoint, args.config, other_classes=True)
    return model.train()


def forward_of(cfg: Config, size: int) -> Forward:
    """One training forward on two random images. It returns the losses and the outputs of the heads."""
    scope = cfg.get("default_scope", "mmengine")
    batches = {"mmdet": _detection_batch, "mmseg": _segmentation_batch, "mmpretrain": _classification_batch}
    batch = batches.get(scope, _crowd_batch)(cfg, size)
    two_stages = "roi_head" in cfg.model

    def forward(model: Any) -> Any:
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        losses = model(**data, mode="loss")
        return losses if two_stages else (losses, model(**data, mode="tensor"))

    return forward


def _detection_batch(cfg: Config, size: int) -> Any:
    from mmdet.testing import demo_mm_inputs

    masks = "mask" in str(cfg.model)
    return demo_mm_inputs(2, [[3, size, size]] * 2, num_classes=2, with_mask=masks, with_semantic=masks)


def _segmentation_batch(_: Config, size: int) -> Any:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(2):
        truth = PixelData(data=torch.randint(0, 2, (1, size, size)))
        samples.append(SegDataSample(gt_sem_seg=truth, metainfo={"img_shape": (size, size), "ori_shape": (size, size)}))
    return {
        "inputs": [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in range(2)],
        "data_samples": samples,
    }


def _classification_batch(_: Config, size: int) -> Any:
    from mmpretrain.structures import DataSample

    return {
        "inputs": [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in range(2)],
        "data_samples": [DataSample().set_gt_label(label) for label in (0, 1)],
    }


def _crowd_batch(cfg: Config, size: int) -> Any:
    if (kind := cfg.model.get("type")) != "CrowdCounter":
        refuse(f"model type {kind}: random batches exist for mmdet, mmseg, mmpretrain and CrowdCounter")
    from normreg_plugins.hosts.mmengine.crowd import CrowdSample

    metainfo = {"img_shape": (size, size), "shorter_side": size}
    points = torch.rand(2, 5, 2) * size
    samples = [CrowdSample(metainfo=metainfo, points=each, targets=torch.ones(5)) for each in points]
    return {"inputs": list(torch.rand(2, 3, size, size)), "data_samples": samples}


COLUMNS = ("weight", "verdict", "norm layers", "filters", "filter norm: min", "mean", "max", "zero")


def norms_of(model: nn.Module, name: str) -> torch.Tensor:
    layer = model.get_submodule(name.rpartition(".")[0])
    return filters_of(layer).norms(model.get_parameter(name)).detach().flatten()


def table_of(model: nn.Module, verdicts: Verdicts, proof: Verdicts | None) -> Table:
    table = Table(*COLUMNS, title=verdicts.summary())
    proven = {verdict.name: verdict.kind for verdict in proof or ()}
    for verdict in verdicts:
        norms = norms_of(model, verdict.name)
        numbers = [f"{value:.3g}" for value in (norms.min(), norms.mean(), norms.max())]
        agrees = proven.get(verdict.name, verdict.kind) == verdict.kind
        said = "" if not proof else " =" if agrees else f" BUT NUMBERS SAY {proven[verdict.name]}"
        counts = [str(norms.numel()), *numbers, str(int((norms == 0).sum()))]
        style = STYLES.get(verdict.kind.value, "yellow") if agrees else "bold red"
        table.add_row(verdict.name, f"{verdict.kind.value}{said}", ", ".join(verdict.norms), *counts, style=style)
    return table


def report_method(model: nn.Module, cfg: Config, forward: Forward, console: Console) -> None:
    """Attach the method, and print what it would act on and what it would leave alone."""
    hooks = [hook["regularizer"] for hook in cfg.get("custom_hooks") or [] if "regularizer" in hook]
    regularizer = cfg.get("optim_wrapper", {}).get("regularizer") or next(iter(hooks), {"type": "WRS"})
    method = build_regularizer(regularizer)
    settings = cfg.get("optim_wrapper", {}).get("optimizer") or {"type": "SGD", "lr": 0.01}
    optimizer = build_optim_wrapper(model, {"optimizer": settings}).optimizer
    handle = attach(optimizer, model, method, forward=forward, updates_per_epoch=1.0)
    if change := rate_at_start(handle):
        console.print(f"\n{change}")
    console.print(f"\n{handle.method!r} would act on {len(handle.targets)} weights and leave alone:")
    for name, reason in handle.left_alone.items():
        console.print(f"  {name}: {reason}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.checkpoint is not None:
        require_checkpoint("checkpoint", str(args.checkpoint))
    logging.disable(logging.WARNING)
    console = wide_console()
    cfg = config_of(args.config)
    model, forward = build_model(args, cfg), forward_of(cfg, args.size)
    with console.status("tracing one training forward"):
        verdicts = find_scale_invariant(model, forward)
    with console.status("scaling filters and running the forward again"):
        proof = prove_scale_invariant(model, forward) if args.prove else None
    console.print(table_of(model, verdicts, proof))
    if proof is not None:
        differ = sum(p.kind != v.kind for p, v in zip(proof, verdicts))
        console.print(f"proven by numbers: {len(verdicts) - differ} of {len(verdicts)} verdicts agree")
    report_method(model, cfg, forward, console)
    return 0
