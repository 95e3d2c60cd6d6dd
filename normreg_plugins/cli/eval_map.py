"""Score saved detections against COCO annotations; no model is needed.

  normreg eval-map data/coco/annotations/instances_val2017.json wd.json wrs.json --out eval

Files of detections are in COCO's form, as `normreg test --out FILE.json` writes it. Prints COCO's mAP (IoU .5 to
.95) and mAP@.5, and precision, recall and F1 (IoU .5, means over classes) at two confidences: where F1 is best, and at
--confidence. --out writes all numbers as JSON and draws precision, recall and F1 over the confidence. --images and
--pictures draw the images with the most mistakes, with --best those with the fewest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from normreg_plugins.cli.console import wide_console
from normreg_plugins.cli.scoring import PICTURES, add_runs, parse_scoring, scoring_parser
from normreg_plugins.crowd.data.images import read_rgb
from normreg_plugins.evaluation import detection
from normreg_plugins.evaluation.detection_files import PredictionsError, load_predictions
from normreg_plugins.evaluation.detection_pictures import DetectedImage, plot_curves, plot_detected_images
from normreg_plugins.files import write_json

FILES = METRICS, CURVES = "detection_metrics.json", "detection_curves.png"
POINT = ("confidence", "precision", "recall", "f1")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    options = scoring_parser(__doc__, FILES)
    add = options.add_argument
    add("annotations", type=Path, help="COCO annotation file")
    add_runs(options, ".json files of detections in COCO's form")
    add("--confidence", type=float, default=0.3, help="threshold to report at (%(default)s)")
    add("--classes", nargs="+", help="the classes of the model, if not all of the file")
    add("--images", type=Path, help="folder of the images, for --pictures")
    args = parse_scoring(options, argv, FILES)
    if not 0 <= args.confidence <= 1:
        options.error(f"--confidence: must lie between 0 and 1, got {args.confidence}")
    if args.pictures and not args.images:
        options.error("--pictures: needs --images")
    return args


def check_ids(path: Path, detections: list[dict[str, Any]], coco: Any) -> None:
    for key, known in (("image_id", coco.imgs), ("category_id", coco.cats)):
        if unknown := {d[key] for d in detections} - set(known):
            raise PredictionsError(
                f"{path} has {len(unknown)} values of {key} that the annotations do not have, "
                f"e.g. {min(unknown)}: they do not belong together"
            )


def table(metrics: dict[str, dict[str, Any]], confidence: float) -> Table:
    shown = Table("detections", title=f"at the confidence with the best F1, and at confidence {confidence}")
    for column in ("mAP", "mAP50", *2 * ("confidence", "precision", "recall", "F1")):
        shown.add_column(column, justify="right")
    for name, row in metrics.items():
        points = [row[at][key] for at in ("best_f1", "at_confidence") for key in POINT]
        shown.add_row(name, *(f"{value:.3f}" for value in (row["mAP"], row["mAP50"], *points)))
    return shown


@dataclass
class Run:
    """The scores of one file of detections."""

    metrics: dict[str, Any]
    curves: detection.Curves
    pairs: dict[int, list[detection.Pair]]
    """By the id of the image, at --confidence."""


def score(path: Path, coco: Any, ids: Sequence[int], confidence: float) -> Run:
    print(f"scoring {path} ...", file=sys.stderr)
    detections = load_predictions(path)
    check_ids(path, detections, coco)
    scores = detection.detection_scores(coco, detections, ids)
    found = detection.curves(scores.matches)
    metrics = {
        "mAP": scores.mean_ap,
        "mAP50": scores.mean_ap50,
        "best_f1": found.best(),
        "at_confidence": found.at(confidence),
    }
    return Run(metrics, found, detection.pairs_by_image(coco, detections, ids, confidence))


def images_to_draw(args: argparse.Namespace, ids: Sequence[int], runs: dict[str, Run]) -> list[int]:
    """The ids of the worst images, or of the best. Of two equally good images, the one with more boxes is better."""
    wrong = {image: sum(detection.mistakes(run.pairs[image]) for run in runs.values()) for image in ids}
    boxes = {image: sum(len(run.pairs[image]) for run in runs.values()) for image in ids}
    return sorted(ids, key=lambda image: (wrong[image], -boxes[image]), reverse=not args.best)[: args.pictures]


def draw_images(args: argparse.Namespace, coco: Any, runs: dict[str, Run]) -> None:
    images = []
    for image in images_to_draw(args, coco.getImgIds(), runs):
        file = coco.imgs[image]["file_name"]
        pairs = {name: run.pairs[image] for name, run in runs.items()}
        images.append(DetectedImage(Path(file).stem, read_rgb(args.images / file), pairs))
    names = {category: each["name"] for category, each in coco.cats.items()}
    plot_detected_images(images, names, args.out / PICTURES)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    coco = detection.load_annotations(args.annotations)
    ids = detection.category_ids(coco, args.classes)
    runs = {name: score(path, coco, ids, args.confidence) for name, path in args.runs.items()}
    metrics = {name: run.metrics for name, run in runs.items()}
    wide_console().print(table(metrics, args.confidence))
    if args.out:
        write_json(args.out / METRICS, metrics)
        plot_curves({name: run.curves for name, run in runs.items()}, args.out / CURVES)
        if args.pictures:
            draw_images(args, coco, runs)
        print(f"results: {args.out}")
    return 0
