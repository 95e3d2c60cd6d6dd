"""Draw filter norms, effective rate, rotation, loss and score of one run or several on common axes.

  normreg plot-norms work_dirs/yolov3_wd work_dirs/yolov3_wrs --out norms.png
  normreg plot-norms work_dirs/yolov3_wrs --layers rotation_degrees --out layers.svg
  normreg plot-norms wd wrs --score detection/f1 detection/precision detection/recall  # WRS paper, Fig. 9

A run is a folder that mmengine or ultralytics trained in, or a file: norms.jsonl of a monitor, or mmengine's
scalars.json. Below the curves is a heat map of each run: its layers from top to bottom, updates to the right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.monitor import Row, logs_of, plot_layers, plot_runs

QUANTITIES = [field.name for field in fields(Row)]


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = options.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run, or its log file")
    add("--names", nargs="+", help="what to call them (default: the names of the folders)")
    add("--out", type=Path, default=Path("norms.png"), help="picture to write, .png or .svg (%(default)s)")
    add("--loss", default="loss", help="the scalar to draw as loss (%(default)s)")
    add("--score", nargs="+", default=[], help="scores to draw, such as coco/bbox_mAP_50 (default: the first found)")
    add("--layers", choices=QUANTITIES, metavar="QUANTITY", help=f"draw heat maps alone, of {', '.join(QUANTITIES)}")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    args = (options := parser()).parse_args(argv)
    if args.names and len(args.names) != len(args.runs):
        options.error(f"--names: need {len(args.runs)} names, got {len(args.names)}")
    runs = logs_of(args.runs, args.names)
    if args.layers:
        plot_layers(runs, args.out, args.layers)
    else:
        plot_runs(runs, args.out, loss=args.loss, scores=args.score)
    print(f"picture: {args.out}")
    return 0


def draw_run(folder: Path) -> None:
    """Draw what the run in this folder logged, at the end of its training."""
    picture = folder / "norms.png"
    try:
        plot_runs(logs_of([folder]), picture)
    except NormRegError as error:
        print(f"no picture of this run: {error}")
    else:
        print(f"picture: {picture}")
