"""What every command on mm configs does: find and read the config, check what it needs, build its runner."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from normreg_plugins.cli.console import first_on_machine, refuse, say
from normreg_plugins.cli.preflight.check import PreflightError, check
from normreg_plugins.cli.preflight.where_to_get import DRAW, PREPARE_MINI_CROWD
from normreg_plugins.hosts import mmengine as ours  # registers our parts

PACKAGE = Path(__file__).resolve().parents[1]
CONFIGS = next(path for path in (PACKAGE / ".mim" / "configs", PACKAGE.parent / "configs") if path.is_dir())
"""In a wheel they are in .mim, where mm looks for them; in a clone, beside the package."""
MINI = {
    "mmdet": f"{DRAW} detection && normreg train mini/yolov3_wrs.py",
    "mmseg": f"{DRAW} segmentation && normreg train mini/deeplabv3_wrs.py",
    "mmpretrain": f"{DRAW} classification && normreg train mini/resnet18_wrs.py",
    "mmengine": f"{DRAW} crowd && {PREPARE_MINI_CROWD} && normreg train mini/csrnet_wrs.py",
}
"""What runs at once on a drawn set, by the scope of a config."""


def config_of(name: str | Path) -> Config:
    """The config of this path or, if there is none, ours of this name; the command ends if there is neither.

    Its `custom_imports` may name a module in the working directory, such as a method of your own.
    """
    found = next((path for path in (Path(name), CONFIGS / name) if path.is_file()), None)
    if found is None:
        refuse(f"there is no config {name} (in {Path.cwd()} or in {CONFIGS})")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return ours.read_config(found)


def common_parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("config", help="config file, or the name of one of ours, such as mini/yolov3_wrs.py")
    add("--work-dir", help="folder for logs and checkpoints (default: work_dirs/NAME OF THE CONFIG)")
    add_cfg_options(parser)
    add("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    add("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    override = "settings to override, such as optim_wrapper.optimizer.lr=0.002 or key='[1,2]'"
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE", help=override)


def load_config(args: argparse.Namespace) -> Config:
    """The config with the flags merged in, as in mm's own tools."""
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return read_config(args.config, args.cfg_options, args.work_dir, args.launcher)


def read_config(
    path: str | Path, options: dict[str, Any] | None = None, work_dir: str | Path | None = None, launcher: str = "none"
) -> Config:
    cfg = config_of(path)
    cfg.launcher = launcher
    cfg.merge_from_dict(options or {})
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs") / Path(path).stem)
    return cfg


def require_checkpoint(name: str, path: str) -> None:
    """End here if a checkpoint that the user named is not on disk. Addresses are left to mm."""
    if "://" not in path and not Path(path).is_file():
        refuse(f"{name} {path}: there is no such file (in {Path.cwd()})")


def check_or_refuse(cfg: Config, config_file: str, phases: tuple[str, ...]) -> None:
    """End here if the config cannot run on this machine. Only one rank per machine reads the disk to find out."""
    if not first_on_machine():
        return
    try:
        check(cfg, phases)
    except PreflightError as error:
        mini = MINI.get(cfg.get("default_scope", "mmengine"), MINI["mmengine"])
        refuse(f"{config_file} cannot run here yet:\n{error}\nThis runs at once, on a small drawn data set:\n  {mini}")


def build_runner(cfg: Config) -> Runner:
    _use_new_store_after_restart()
    _use_gloo_without_gpus(cfg)
    return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


def _use_new_store_after_restart() -> None:
    """Let restarted ranks meet at a port of their own: torchrun's store, which killed ranks used, sometimes hangs."""
    if restarts := int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")):
        port = int(os.environ["MASTER_PORT"]) + restarts
        os.environ.update(TORCHELASTIC_USE_AGENT_STORE="False", MASTER_PORT=str(port))


def _use_gloo_without_gpus(cfg: Config) -> None:
    """Prepare for several ranks on CPUs, where mm would ask for one GPU per rank."""
    if cfg.launcher == "pytorch" and not torch.cuda.is_available():
        dist.init_process_group("gloo")
        cfg.setdefault("model_wrapper_cfg", {"type": "MMDistributedDataParallel"})
        cfg.model_wrapper_cfg.device_ids = None
        if cfg.get("sync_bn"):
            say("The ranks run on CPUs, where torch cannot synchronize batch norm: each rank normalizes by itself.")
        cfg.sync_bn = None


def leave_together() -> None:
    """End all ranks at the same time and skip Python's teardown, in which gloo's threads sometimes abort."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
