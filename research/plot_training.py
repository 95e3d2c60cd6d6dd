"""Draw scores that runs logged at each validation, several runs on one axis.

  python -m research.plot_training wd=work_dirs/yolov3_wd wrs=work_dirs/yolov3_wrs --out fig9.png

By default it draws F1, precision and recall of detections, as in Fig. 9 of the WRS paper. --scores takes others, so it
draws Fig. 7 too: coco/bbox_mAP_50 for detection, mIoU for segmentation, count/RMSE for counting.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from normreg_plugins.evaluation.detection_pictures import plot_training
from normreg_plugins.monitor import logged_scores

FIG_9 = {"detection/f1": "F1", "detection/precision": "Precision", "detection/recall": "Recall"}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("runs", nargs="+", metavar="NAME=WORK_DIR", help="what to call a run, and its work dir or its scalars.json")
    add("--scores", nargs="+", default=list(FIG_9), help="the names of logged scores (%(default)s)")
    add("--out", type=Path, required=True, help="the picture, a .png")
    args = parser.parse_args(argv)
    if unnamed := [run for run in args.runs if not all(run.partition("="))]:
        parser.error(f"{unnamed[0]}: write NAME=WORK_DIR")
    args.runs = [run.split("=", 1) for run in args.runs]
    if len({name for name, _ in args.runs}) < len(args.runs):
        parser.error("two runs have one name")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        runs = {name: logged_scores(Path(folder), args.scores) for name, folder in args.runs}
        plot_training(runs, {score: FIG_9.get(score, score) for score in args.scores}, args.out)
    except (ValueError, OSError) as error:
        print(f"plot_training.py: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
