#!/usr/bin/env python
"""Evaluate a checkpoint: `python tools/test.py CONFIG CHECKPOINT`. Flags as in mm's own."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from mm_cli import build_runner, check_or_refuse, common_parser, load_config, refuse
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import HOOKS, METRICS


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = common_parser(__doc__)
    add = parser.add_argument
    add("checkpoint", help="checkpoint file")
    add("--out", type=Path, help="write the predictions to this .pkl, for tools/eval_map.py")
    add("--show", action="store_true", help="show the predictions in a window")
    add("--show-dir", help="draw the predictions into this folder, under the work dir")
    add("--wait-time", type=float, default=2, help="seconds per shown image")
    return parser.parse_args(argv)


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Let the task's own visualization hook draw every test image."""
    hook = cfg.default_hooks.get("visualization")
    if hook is None:
        refuse(f"--show and --show-dir: {args.config} has no default_hooks.visualization")
    hook.update(draw=True, interval=1, show=args.show, wait_time=args.wait_time)
    if args.show_dir:
        with HOOKS.switch_scope_and_registry(cfg.get("default_scope")) as hooks:
            accepted = inspect.signature(hooks.get(hook["type"])).parameters
        if "test_out_dir" in accepted:  # mmdet's
            hook["test_out_dir"] = args.show_dir
        else:  # mmseg's
            cfg.visualizer["save_dir"] = args.show_dir


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.out is not None and args.out.suffix not in (".pkl", ".pickle"):
        refuse(f"--out: {args.out} must end in .pkl or .pickle")
    if args.out is not None and args.out.exists():
        refuse(f"--out: {args.out} exists; remove it or choose another name")
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    check_or_refuse(cfg, args.config, ("test",))
    runner = build_runner(cfg)
    if args.out is None:
        runner.test()
        return
    unfinished = args.out.with_name(f".unfinished-{args.out.name}")
    dump = "DumpDetResults" if cfg.get("default_scope") == "mmdet" else "DumpResults"
    metric = METRICS.build({"type": dump, "out_file_path": str(unfinished)})
    runner.test_evaluator.metrics.append(metric)
    runner.test()
    if is_main_process():
        unfinished.replace(args.out)


if __name__ == "__main__":
    main()
