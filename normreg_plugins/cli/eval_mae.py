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
from normreg_plugins.crowd.data.images import bounded_size, read_rgb, resize
from normreg_plugins.crowd.data.preparation import records_in
from normreg_plugins.evaluation.counting import (
    CountedImage,
    bands,
    best,
    count_errors,
    load_counts,
    load_map,
    plot_counted_images,
    worst,
)
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


def read_index(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; normreg prepare-qnrf writes it")
    return records_in(path)


def matched(counts: dict[str, float], records: list[dict[str, Any]]) -> np.ndarray:
    """Predicted counts in the order of the records. Both must have the same images."""
    names = {record["name"] for record in records}
    if missing := sorted(names - counts.keys()):
        raise ValueError(f"{len(missing)} images have no prediction, e.g. {missing[0]}")
    if unknown := sorted(counts.keys() - names):
        raise ValueError(f"{len(unknown)} predictions are of other images, e.g. {unknown[0]}")
    return np.array([counts[record["name"]] for record in records])


def people_of(annotations: Path, record: dict[str, Any]) -> np.ndarray:
    """x and y of the people in a picture."""
    return read_numbers((annotations.parent / record["picture"]).with_suffix(".npy"), columns=2)[:, :2]


def print_by_side(checkpoint: Path, sides: Sequence[int], annotations: Path, records: list[dict[str, Any]]) -> None:
    """The errors of a checkpoint for each bound of the shorter side. Pictures with a smaller one stay as they are."""
    import torch  # reading saved counts needs neither torch nor mmengine

    from normreg_plugins.cli.infer_crowd import build

    counter = build(checkpoint, device="cuda" if torch.cuda.is_available() else "cpu")
    true = [record["count"] for record in records]
    for side in sides:
        counts = []
        for record in records:
            size = bounded_size(record["width"], record["height"], (1, side))
            counts.append(counter(resize(read_rgb(annotations.parent / record["picture"]), size)).number)
        reduced = sum(min(record["width"], record["height"]) > side for record in records)
        print(f"shorter side at most {side} ({reduced} of {len(records)} images reduced): {count_errors(counts, true)}")


def draw(args: argparse.Namespace, records: list[dict[str, Any]], predicted: np.ndarray, true: np.ndarray) -> None:
    name, images = args.predictions.name, []
    for place in (best if args.best else worst)(predicted, true, args.pictures):
        record, count = records[place], float(predicted[place])
        pixels = read_rgb(args.annotations.parent / record["picture"])
        density = load_map(args.predictions, record["name"])
        points = people_of(args.annotations, record)
        images.append(CountedImage(record["name"], pixels, points, {name: count}, {name: density}))
    if images:
        plot_counted_images(images, args.out / PICTURES)
    print(f"results: {args.out}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    records = read_index(args.annotations)
    if args.sides:
        print_by_side(args.predictions, args.sides, args.annotations, records)
        return 0
    true = np.array([record["count"] for record in records])
    predicted = matched(load_counts(args.predictions), records)
    groups = [("all", true >= 0), *bands(true, args.bands)]
    found = {name: count_errors(predicted[mask], true[mask]) for name, mask in groups if mask.any()}
    for name, errors in found.items():
        print(f"{name}, {errors.images} images: {errors}")
    if args.baseline:
        mean = np.mean([record["count"] for record in read_index(args.baseline)])
        print(f"always {mean:.1f}: {count_errors(np.full(len(true), mean), true)}")
    if args.out:
        write_json(args.out / METRICS, {name: asdict(errors) for name, errors in found.items()})
        draw(args, records, predicted, true)
    return 0
