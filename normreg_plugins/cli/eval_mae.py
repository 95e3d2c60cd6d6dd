"""Errors of saved counts: `normreg eval-mae work_dirs/csrnet_wrs/predictions data/qnrf/test.json`.

The predictions are a folder that CountMetric(out_dir=...) or `normreg count --save` wrote. The annotations are the
index of a prepared split. It prints MAE, RMSE (which crowd papers call MSE) and NAE, the mean of |error| / true count,
of all images and of bands of true counts. --out writes them as JSON. --pictures also draws true points and density maps
of the images with the largest errors, with --best of those with the smallest.

How much the score of a checkpoint depends on the size of the pictures: --sides counts them again, reduced so that the
shorter side has at most so many pixels.

  normreg eval-mae best_count_MAE_epoch_300.pth data/qnrf/test.json --sides 1024 1536 2048
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from normreg_plugins.cli.scoring import PICTURES, parse_scoring, scoring_parser
from normreg_plugins.crowd.data.images import bounded, read_rgb
from normreg_plugins.crowd.data.preparation import records_in
from normreg_plugins.evaluation import counting
from normreg_plugins.files import read_numbers, write_json

METRICS = "counting_metrics.json"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    options = scoring_parser(__doc__, (METRICS,))
    add = options.add_argument
    add("predictions", type=Path, help="folder with predictions.json; a checkpoint with --sides")
    add("annotations", type=Path, help="index of the prepared split, such as data/qnrf/test.json")
    bands = "true counts at which a new band begins (default: 100 500 1000 5000)"
    add("--bands", type=float, nargs="+", default=[100, 500, 1000, 5000], help=bands)
    baseline = "index of the training split: print also the error of predicting its mean count for every image"
    add("--baseline", type=Path, metavar="TRAIN.json", help=baseline)
    sides = "count with this checkpoint in pictures whose shorter side is reduced to SIDE pixels, and print the errors"
    add("--sides", type=int, nargs="+", metavar="SIDE", help=sides)
    return parse_scoring(options, argv, (METRICS,))


def matched(counts: dict[str, float], records: list[dict[str, Any]]) -> np.ndarray:
    """Predicted counts in the order of the records. Both must have the same images."""
    if differ := sorted({record["name"] for record in records} ^ counts.keys()):
        raise ValueError(f"{len(differ)} images are only in the predictions or only in the index, e.g. {differ[0]}")
    return np.array([counts[record["name"]] for record in records])


def print_by_side(checkpoint: Path, sides: Sequence[int], annotations: Path, records: list[dict[str, Any]]) -> None:
    """The errors of a checkpoint for each bound of the shorter side. Pictures with a smaller one stay as they are."""
    from normreg_plugins.cli.infer_crowd import DEVICE, build  # saved counts are read without mmengine

    counter, true = build(checkpoint, device=DEVICE), [record["count"] for record in records]
    pictures = [annotations.parent / record["picture"] for record in records]
    for side in sides:
        counts = [counter(bounded(read_rgb(picture), (1, side))).number for picture in pictures]
        reduced = sum(min(record["width"], record["height"]) > side for record in records)
        errors = counting.count_errors(counts, true)
        print(f"shorter side at most {side} ({reduced} of {len(records)} images reduced): {errors}")


def draw(args: argparse.Namespace, records: list[dict[str, Any]], predicted: np.ndarray, true: np.ndarray) -> None:
    name, images = args.predictions.name, []
    for place in counting.ranked(predicted, true, best=args.best)[: args.pictures]:
        record, count = records[place], float(predicted[place])
        pixels = read_rgb(args.annotations.parent / record["picture"])
        density = counting.load_map(args.predictions, record["name"])
        people = read_numbers((args.annotations.parent / record["picture"]).with_suffix(".npy"), columns=2)
        images.append(counting.CountedImage(record["name"], pixels, people, {name: count}, {name: density}))
    if images:
        counting.plot_counted_images(images, args.out / PICTURES)
    print(f"results: {args.out}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    records = records_in(args.annotations)
    if args.sides:
        print_by_side(args.predictions, args.sides, args.annotations, records)
        return 0
    true = np.array([record["count"] for record in records])
    predicted = matched(counting.load_counts(args.predictions), records)
    groups = [("all", true >= 0), *counting.bands(true, args.bands)]
    found = {name: counting.count_errors(predicted[mask], true[mask]) for name, mask in groups if mask.any()}
    for name, errors in found.items():
        print(f"{name}, {errors.images} images: {errors}")
    if args.baseline:
        mean = np.mean([record["count"] for record in records_in(args.baseline)])
        print(f"always {mean:.1f}: {counting.count_errors(np.full(len(true), mean), true)}")
    if args.out:
        write_json(args.out / METRICS, {name: asdict(errors) for name, errors in found.items()})
        draw(args, records, predicted, true)
    return 0
