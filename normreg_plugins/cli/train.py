"""Train any mm config: `normreg train configs/mini/yolov3_wrs.py`. The flags are those of mm's own train.py.

--method adds a method to any config: `normreg train my_config.py --method WRS interval=20`. --split-batch
and --total-batch run the papers' protocols on several GPUs: see docs/multi_gpu.md.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from normreg_plugins.cli import mm_runs
from normreg_plugins.cli.console import refuse, say
from normreg_plugins.cli.method_flag import add_method_flag, use_method
from normreg_plugins.cli.plot_norms import draw_run
from normreg_plugins.cli.preflight import total_batch
from normreg_plugins.hosts.mmengine import NormRegMonitorHook

LAST = "last_checkpoint"
"""The file in which mm notes the name of the last checkpoint."""


def parser() -> argparse.ArgumentParser:
    options = mm_runs.common_parser(__doc__)
    add = options.add_argument
    add_method_flag(options)
    add("--amp", action="store_true", help="train in mixed precision")
    add("--auto-scale-lr", action="store_true", help="scale the learning rate with the batch size of all GPUs")
    batch = options.add_mutually_exclusive_group()
    batch.add_argument("--split-batch", action="store_true", help="the GPUs share the protocol's batch: same updates")
    declared = "the GPUs share a batch of this size, which the protocol declares as its variant"
    batch.add_argument("--total-batch", type=int, metavar="IMAGES", help=declared)
    resumed = "resume from this checkpoint (default: the latest in the work dir)"
    add("--resume", nargs="?", const="auto", metavar="CHECKPOINT", help=resumed)
    return options


def apply_flags(cfg: Config, args: argparse.Namespace) -> None:
    use_method(cfg, args.method)
    if args.amp:
        if not torch.cuda.is_available():
            refuse("--amp: mm's mixed precision needs a GPU, and torch sees none; leave --amp out")
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.loss_scale = "dynamic"
    if args.auto_scale_lr:
        if total_batch.protocol_of(cfg) is not None:
            refuse(
                f"--auto-scale-lr: {args.config} is a paper's protocol. mm's flag changes only the learning rate: the "
                "number of updates, summed losses and Adam's rule stay wrong. Use --split-batch"
            )
        if "base_batch_size" not in cfg.get("auto_scale_lr", {}):
            refuse(f"--auto-scale-lr: {args.config} has no auto_scale_lr.base_batch_size")
        cfg.auto_scale_lr.enable = True


def settle_resume(cfg: Config, args: argparse.Namespace) -> None:
    """Resume as the flag says, or after a restart; without a checkpoint, start a new run from `load_from`."""
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if saved_before_restart(cfg):
        args.resume = "auto"
        say(f"restart {restart}: training resumes from {Path(cfg.work_dir, LAST).read_text()}")
    elif restart != "0" and args.resume is None:
        say(f"restart {restart}: no checkpoint was saved yet, so training begins again")
    if args.resume == "auto" and not Path(cfg.work_dir, LAST).is_file():
        say(f"--resume: {cfg.work_dir} has no checkpoint, so this is a new run")
    elif args.resume is not None:
        if args.resume != "auto":
            mm_runs.require_checkpoint("--resume", args.resume)
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume


def saved_before_restart(cfg: Config) -> bool:
    """Whether torchrun has restarted the ranks, and they had saved a checkpoint since tools/dist_run.sh was called."""
    restarts, launched = (os.environ.get(name, "0") for name in ("TORCHELASTIC_RESTART_COUNT", "NORMREG_LAUNCHED"))
    last = Path(cfg.work_dir, LAST)
    return int(restarts) > 0 and last.is_file() and last.stat().st_mtime >= float(launched)


def settle_batch(cfg: Config, args: argparse.Namespace) -> None:
    """Split the batch if the flag says so; end here if a protocol would train with another batch."""
    ranks = total_batch.ranks_of(args.launcher, os.environ)
    try:
        if args.split_batch or args.total_batch:
            variant = total_batch.adopt_variant(cfg, args.total_batch) if args.total_batch else []
            say("\n  ".join(["the GPUs share the batch:", *variant, *total_batch.split_batch(cfg, ranks)]))
        else:
            total_batch.refuse_other_batch(cfg, args.config, ranks)
    except total_batch.TotalBatchError as error:
        refuse(str(error))


def say_where(runner: Runner) -> None:
    """Print what the run wrote, and where it is."""
    print(f"work dir: {runner.work_dir}")
    for checkpoint in sorted(Path(runner.work_dir).glob("best_*.pth")):
        print(f"best checkpoint: {checkpoint}")
    if "best_score" in runner.message_hub.runtime_info:
        print(f"its score: {runner.message_hub.get_info('best_score'):.4g}")
    for picture in sorted(Path(runner.log_dir).rglob("*.png")):
        print(f"picture: {picture}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    cfg = mm_runs.load_config(args)
    apply_flags(cfg, args)
    settle_resume(cfg, args)
    settle_batch(cfg, args)
    mm_runs.check_or_refuse(cfg, args.config, ("train", "val"))
    runner = mm_runs.build_runner(cfg)
    runner.train()
    if is_main_process():
        say_where(runner)
        if any(isinstance(hook, NormRegMonitorHook) and hook.monitor is not None for hook in runner.hooks):
            draw_run(Path(runner.work_dir))
    mm_runs.leave_together()
    return 0
