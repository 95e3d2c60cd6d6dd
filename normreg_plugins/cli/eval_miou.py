"""Score saved segmentations; no model is needed.

  normreg test configs/deeplabv3_wrs.py BEST.pth --out wrs
  normreg eval-miou configs/deeplabv3_wrs.py wd wrs --out eval --pictures 8

The test set of the config has the true masks; each folder of predictions has a PNG of labels per image. For each folder
it prints the IoU of each class, mIoU and pixel accuracy, equal to those of mmseg's IoUMetric. --out writes them as
JSON. --pictures also draws predictions beside image and truth: those with the fewest correct pixels, with --best those
with the most.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from normreg_plugins.cli.console import wide_console
from normreg_plugins.cli.mm_runs import config_of
from normreg_plugins.cli.preflight.check import check
from normreg_plugins.cli.scoring import PICTURES, add_runs, parse_scoring, scoring_parser
from normreg_plugins.crowd.data.images import read_rgb
from normreg_plugins.evaluation.segmentation import (
    Labels,
    MaskError,
    Row,
    Scores,
    confusion,
    plot_rows,
    read_mask,
    scores,
)
from normreg_plugins.files import write_json

METRICS = "segmentation_metrics.json"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    options = scoring_parser(__doc__, (METRICS,))
    options.add_argument("config", type=Path, help="the config whose test set was predicted")
    add_runs(options, "folders of predicted masks, as `normreg test --out` writes them")
    return parse_scoring(options, argv, (METRICS,))


def truth_of(config: Path) -> Any:
    """The test set of a config. It reads masks as mmseg does, and reads no images."""
    cfg = config_of(config)
    check(cfg, ("test",))
    only_masks = {**cfg.test_dataloader.dataset, "pipeline": [{"type": "LoadAnnotations"}]}
    with DATASETS.switch_scope_and_registry(cfg.get("default_scope")) as datasets:
        return datasets.build(only_masks)


def predicted_files(folder: Path, images: Sequence[Path]) -> list[Path]:
    """The prediction for each image: a PNG with the name of the image."""
    files = [folder / f"{image.stem}.png" for image in images]
    if lost := [file for file in files if not file.is_file()]:
        raise MaskError(f"{folder} has no prediction for {len(lost)} of {len(files)} images, e.g. {lost[0].name}")
    return files


def read_prediction(file: Path, dataset: Any) -> Labels:
    labels = read_mask(file)
    return labels.astype(int) - 1 if dataset.reduce_zero_label else labels  # mmseg then saves labels plus 1


def count(dataset: Any, runs: dict[str, list[Path]]) -> tuple[dict[str, NDArray[np.int64]], NDArray[Any]]:
    """A confusion matrix per run, and the share of correct pixels per image: NaN where all pixels are ignored."""
    classes = len(dataset.metainfo["classes"])
    counts: dict[str, NDArray[np.int64]] = {name: np.zeros((classes, classes), dtype=np.int64) for name in runs}
    right = np.full(len(dataset), np.nan)
    for index in track(range(len(dataset)), "scoring", console=Console(stderr=True), transient=True):
        truth = dataset[index]["gt_seg_map"]
        here = {name: counts_of(truth, files[index], dataset) for name, files in runs.items()}
        for name, each in here.items():
            counts[name] += each
        if (pixels := sum(each.sum() for each in here.values())) > 0:
            right[index] = sum(np.trace(each) for each in here.values()) / pixels
    return counts, right


def counts_of(truth: Labels, file: Path, dataset: Any) -> NDArray[np.int64]:
    try:
        return confusion(truth, read_prediction(file, dataset), len(dataset.metainfo["classes"]), dataset.ignore_index)
    except MaskError as error:
        raise MaskError(f"{file}: {error}") from error


def table(found: dict[str, Scores], classes: Sequence[str]) -> Table:
    shown = Table("IoU %", title="nan: neither the truth nor the prediction has the class")
    for name in found:
        shown.add_column(name, justify="right")
    for label, title in enumerate(classes):
        shown.add_row(title, *(f"{100 * each.iou[label]:.2f}" for each in found.values()))
    shown.add_section()
    shown.add_row("mIoU", *(f"{100 * each.mean_iou:.2f}" for each in found.values()))
    shown.add_row("pixel accuracy", *(f"{100 * each.pixel_accuracy:.2f}" for each in found.values()))
    return shown


def as_plain(found: Scores, classes: Sequence[str]) -> dict[str, Any]:
    """Numbers for JSON, which has no nan."""

    def by_class(values: Any) -> dict[str, float | None]:
        return {title: None if np.isnan(v) else float(v) for title, v in zip(classes, values, strict=True)}

    return {
        "mIoU": found.mean_iou,
        "pixel_accuracy": found.pixel_accuracy,
        "IoU": by_class(found.iou),
        "accuracy": by_class(found.accuracy),
    }


def draw(dataset: Any, runs: dict[str, list[Path]], images: Sequence[Path], chosen: Sequence[int], path: Path) -> None:
    rows = []
    for index in chosen:
        predicted = {name: read_prediction(files[index], dataset) for name, files in runs.items()}
        rows.append(Row(images[index].stem, read_rgb(images[index]), dataset[index]["gt_seg_map"], predicted))
    plot_rows(rows, dataset.metainfo["classes"], dataset.metainfo["palette"], path)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    dataset = truth_of(args.config)
    images = [Path(dataset.get_data_info(index)["img_path"]) for index in range(len(dataset))]
    runs = {name: predicted_files(folder, images) for name, folder in args.runs.items()}
    counts, right = count(dataset, runs)
    found, classes = {name: scores(each) for name, each in counts.items()}, dataset.metainfo["classes"]
    wide_console().print(table(found, classes))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        if args.pictures:
            order = np.argsort(-right if args.best else right, kind="stable")  # NaN is last
            draw(dataset, runs, images, order[: args.pictures].tolist(), args.out / PICTURES)
        write_json(args.out / METRICS, {name: as_plain(each, classes) for name, each in found.items()})
        print(f"results: {args.out}")
    return 0
