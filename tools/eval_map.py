#!/usr/bin/env python
"""Score saved detections against COCO annotations; no model is needed.

  python tools/eval_map.py data/coco/annotations/instances_val2017.json wd.pkl wrs.pkl --out eval

A file of detections is COCO's .json, or the .pkl of tools/test.py --out. For each file it prints COCO's mAP (IoU .5 to
.95) and mAP@.5. It also prints precision, recall and F1 (IoU .5, means over classes), once at the confidence with the
best F1 and once at --confidence. With --out it draws these three over every confidence, and writes all numbers as JSON.
Fig. 9 of the WRS paper shows them over training instead: tools/research/plot_training.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/__init__.py says why

from rich.table import Table

from normreg_plugins.evaluation import (
    Curves,
    PredictionsError,
    category_ids,
    curves,
    detection_scores,
    load_annotations,
    load_predictions,
    plot_curves,
)
from normreg_plugins.whole_files import write_json
from tools.shared.wide_console import wide_console

POINT = ("confidence", "precision", "recall", "f1")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("annotations", type=Path, help="COCO annotation file")
    add("predictions", type=Path, nargs="+", help=".json or .pkl files of detections")
    add("--names", nargs="+", help="what to call them (default: the names of the files)")
    add("--confidence", type=float, default=0.3, help="threshold to report at (%(default)s)")
    add("--classes", nargs="+", help="the classes of the model, if not all of the file")
    add("--out", type=Path, help="folder for detection_curves.png and detection_metrics.json")
    args = parser.parse_args(argv)
    args.names = args.names or [str(path) for path in args.predictions]
    if len(set(args.names)) != len(args.predictions):
        parser.error(f"--names: need {len(args.predictions)} different names, got {args.names}")
    if not 0 <= args.confidence <= 1:
        parser.error(f"--confidence: must lie between 0 and 1, got {args.confidence}")
    return args


def refuse_strangers(path: Path, detections: list[dict[str, Any]], coco: Any) -> None:
    for key, known in (("image_id", coco.imgs), ("category_id", coco.cats)):
        if strangers := {d[key] for d in detections} - set(known):
            raise PredictionsError(
                f"{path} has {len(strangers)} values of {key} that the annotations do not have, "
                f"e.g. {min(strangers)}: they do not belong together"
            )


def table(metrics: dict[str, dict[str, Any]], confidence: float) -> Table:
    shown = Table("detections", title=f"at the confidence with the best F1, and at confidence {confidence}")
    for column in ("mAP", "mAP50", *2 * ("confidence", "precision", "recall", "F1")):
        shown.add_column(column, justify="right")
    for name, row in metrics.items():
        points = [row[at][key] for at in ("best_f1", "at_confidence") for key in POINT]
        shown.add_row(name, *(f"{value:.3f}" for value in (row["mAP"], row["mAP50"], *points)))
    return shown


def write(out: Path, metrics: dict[str, dict[str, Any]], runs: dict[str, Curves]) -> None:
    plot_curves(runs, out / "detection_curves.png")
    write_json(out / "detection_metrics.json", metrics)
    print(f"wrote {out / 'detection_curves.png'} and {out / 'detection_metrics.json'}")


def evaluate(args: argparse.Namespace) -> None:
    names = ("detection_curves.png", "detection_metrics.json")
    if there := [args.out / name for name in names if args.out and (args.out / name).exists()]:
        raise PredictionsError(f"{there[0]} exists: choose another --out, or remove it")
    coco = load_annotations(args.annotations)
    ids = category_ids(coco, args.classes)
    metrics: dict[str, dict[str, Any]] = {}
    runs: dict[str, Curves] = {}
    for name, path in zip(args.names, args.predictions, strict=True):
        print(f"scoring {path} ...", file=sys.stderr)
        detections = load_predictions(path, ids)
        refuse_strangers(path, detections, coco)
        scores = detection_scores(coco, detections, ids)
        runs[name] = curves(scores.matches)
        metrics[name] = {
            "mAP": scores.mean_ap,
            "mAP50": scores.mean_ap50,
            "best_f1": runs[name].best(),
            "at_confidence": runs[name].at(args.confidence),
        }
    wide_console().print(table(metrics, args.confidence))
    if args.out:
        write(args.out, metrics, runs)


def main(argv: list[str] | None = None) -> int:
    try:
        evaluate(parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"eval_map.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
