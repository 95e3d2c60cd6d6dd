"""Evaluate a checkpoint: `normreg test CONFIG CHECKPOINT`. The flags are those of mm's own test.py."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import HOOKS, METRICS

from normreg_plugins.cli import mm_runs
from normreg_plugins.cli.console import refuse
from normreg_plugins.files import atomic_path


def parser() -> argparse.ArgumentParser:
    options = mm_runs.common_parser(__doc__)
    add = options.add_argument
    add("checkpoint", help="checkpoint file")
    add("--out", type=Path, help="write the predictions: a .json for eval-map, a folder for eval-miou, else a .pkl")
    add("--show", action="store_true", help="show the predictions in a window")
    add("--show-dir", help="draw the predictions into this folder, under the work dir")
    add("--wait-time", type=float, default=2, help="seconds per shown image")
    return options


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Let the visualization hook of the config draw every test image."""
    hook = cfg.default_hooks.get("visualization")
    if hook is None:
        refuse(f"--show and --show-dir: {args.config} has no default_hooks.visualization")
    with HOOKS.switch_scope_and_registry(cfg.get("default_scope")) as hooks:
        accepted = inspect.signature(hooks.get(hook["type"])).parameters
    draw = "enable" if "enable" in accepted else "draw"  # mmpretrain's word, and that of mmdet and mmseg
    hook.update({draw: True, "interval": 1, "show": args.show, "wait_time": args.wait_time})
    if args.show_dir:
        if "out_dir" in accepted:  # mmpretrain's
            hook["out_dir"] = str(Path(cfg.work_dir) / args.show_dir)
        elif "test_out_dir" in accepted:  # mmdet's
            hook["test_out_dir"] = args.show_dir
        else:  # mmseg's
            cfg.visualizer["save_dir"] = args.show_dir


def refuse_bad_out(out: Path, scope: str | None) -> None:
    suffix = {"mmseg": "", "mmdet": ".json"}.get(str(scope), ".pkl")
    if out.exists():
        refuse(f"--out: {out} exists; remove it or choose another name")
    if out.suffix != suffix:
        refuse(f"--out: {out} must {f'end in {suffix}' if suffix else 'name a folder, for PNG masks'}")


def predict_into_folder(cfg: Config, folder: Path) -> None:
    """Test, and let mmseg's metric write a PNG per prediction. A .pkl would have a score per class and pixel.

    All ranks write into one folder; at the end it gets its name.
    """
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    metric = next((each for each in evaluators if each["type"] == "IoUMetric"), None)
    if metric is None:
        refuse(f"--out: {folder}: only mmseg's IoUMetric writes masks, and test_evaluator has none")
    unfinished = folder.with_name(f".unfinished-{folder.name}")
    metric["output_dir"] = str(unfinished)
    mm_runs.build_runner(cfg).test()
    if is_main_process():
        unfinished.replace(folder)


def predict_into_file(cfg: Config, file: Path) -> None:
    """Test, with all predictions in `file`, which only the main process writes."""
    runner = mm_runs.build_runner(cfg)  # first, because it tells the ranks apart
    metrics = runner.test_evaluator.metrics
    coco: Any = next((metric for metric in metrics if type(metric).__name__.endswith("CocoMetric")), None)
    if file.suffix == ".json" and coco is None:
        refuse(f"--out: {file}: only mmdet's CocoMetric writes detections, and test_evaluator has none")
    with atomic_path(file) if is_main_process() else nullcontext(file) as unfinished:
        if file.suffix == ".json":
            coco.outfile_prefix = str(unfinished)
        else:
            metrics.append(METRICS.build({"type": "DumpResults", "out_file_path": str(unfinished)}))
        runner.test()
        if file.suffix == ".json" and is_main_process():
            Path(f"{unfinished}.bbox.json").replace(unfinished)


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    cfg = mm_runs.load_config(args)
    if args.out is not None:
        refuse_bad_out(args.out, cfg.get("default_scope"))
    mm_runs.require_checkpoint("checkpoint", args.checkpoint)
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    mm_runs.check_or_refuse(cfg, args.config, ("test",))
    if args.out is None:
        mm_runs.build_runner(cfg).test()
    elif args.out.suffix == "":
        predict_into_folder(cfg, args.out)
    else:
        predict_into_file(cfg, args.out)
    mm_runs.leave_together()
    return 0
