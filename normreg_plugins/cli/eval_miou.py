"""Score saved segmentations; no model is needed.

  normreg test configs/deeplabv3_wrs.py BEST.pth --out wrs
  normreg eval-miou configs/deeplabv3_wrs.py wd wrs --out eval --pictures 8

The test set of the config has the true masks; each folder of predictions has a PNG of labels per image. For each folder
it prints the IoU of each class, mIoU and pixel accuracy, equal to those of mmseg's IoUMetric. --out writes them as JSON
and draws the IoU as bars and the confusion of classes. --pictures also draws predictions beside image and truth: spread
over the set, with --worst those with the fewest correct pixels, with --best those with the most.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from normreg_plugins.cli.console import wide_console
from normreg_plugins.cli.mm_runs import config_of
from normreg_plugins.cli.preflight.check import check
from normreg_plugins.evaluation import (
    Labels,
    MaskError,
    Row,
    Scores,
    confusion,
    plot_bars,
    plot_confusion,
    plot_rows,
    read_mask,
    scores,
    spread,
)
from normreg_plugins.files import write_json

METRICS, PICTURES = "segmentation_metrics.json", "segmentation_pictures.png"
IOU, CONFUSION = "segmentation_iou.png", "segmentation_confusion.png"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = options.add_argument
    add("config", type=Path, help="the config whose test set was predicted")
    add("predictions", type=Path, nargs="+", help="folders of predicted masks, as `normreg test --out` writes them")
    add("--names", nargs="+", help="what to call them (default: the names of the folders)")
    add("--out", type=Path, help=f"folder for {METRICS}, {IOU}, {CONFUSION} and {PICTURES}")
    add("--pictures", type=int, default=0, help="how many images to draw, spread over the set (%(default)s)")
    which = options.add_mutually_exclusive_group()
    which.add_argument("--worst", action="store_true", help="draw the images with the fewest correct pixels")
    which.add_argument("--best", action="store_true", help="draw the images with the most correct pixels")
    return options


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    args = (options := parser()).parse_args(argv)
    args.names = args.names or [path.name for path in args.predictions]
    if len(set(args.names)) != len(args.predictions):
        options.error(f"--names: need {len(args.predictions)} different names, got {args.names}")
    if args.pictures < 0 or (args.pictures and not args.out):
        options.error(f"--pictures {args.pictures}: must be 0 or more, and more than 0 needs --out")
    return args


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


@dataclass
class Counted:
    """Counts over the set: a confusion matrix per run, and the share of correct pixels per image."""

    confusion: Mapping[str, NDArray[np.int64]]
    right: NDArray[np.float64]
    """A mean over the runs; NaN for an image whose pixels are all ignored."""

    def scores(self) -> dict[str, Scores]:
        return {name: scores(counts) for name, counts in self.confusion.items()}


def count(dataset: Any, runs: dict[str, list[Path]]) -> Counted:
    classes = len(dataset.metainfo["classes"])
    counts = {name: np.zeros((classes, classes), dtype=np.int64) for name in runs}
    right = np.full(len(dataset), np.nan)
    for index in track(range(len(dataset)), "scoring", console=Console(stderr=True), transient=True):
        truth = dataset[index]["gt_seg_map"]
        here = {name: counts_of(truth, files[index], dataset) for name, files in runs.items()}
        for name, each in here.items():
            counts[name] += each
        if (pixels := sum(each.sum() for each in here.values())) > 0:
            right[index] = sum(np.trace(each) for each in here.values()) / pixels
    return Counted(counts, right)


def counts_of(truth: Labels, file: Path, dataset: Any) -> Any:
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

    def each(values: Any) -> dict[str, float | None]:
        return {title: None if np.isnan(v) else float(v) for title, v in zip(classes, values, strict=True)}

    return {
        "mIoU": found.mean_iou,
        "pixel_accuracy": found.pixel_accuracy,
        "IoU": each(found.iou),
        "accuracy": each(found.accuracy),
    }


def draw_scores(found: Counted, classes: Sequence[str], out: Path) -> None:
    each = found.scores()
    bars = {name: [100 * one.mean_iou, *(100 * one.iou)] for name, one in each.items()}
    plot_bars(bars, ["mean", *classes], out / IOU, label="IoU in %; none: neither truth nor prediction has the class")
    plot_confusion(found.confusion, classes, classes, out / CONFUSION, unit="pixels")


def draw(dataset: Any, runs: dict[str, list[Path]], images: Sequence[Path], chosen: Sequence[int], path: Path) -> None:
    rows = []
    for index in chosen:
        with Image.open(images[index]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        predicted = {name: read_prediction(files[index], dataset) for name, files in runs.items()}
        rows.append(Row(images[index].stem, pixels, dataset[index]["gt_seg_map"], predicted))
    plot_rows(rows, dataset.metainfo["classes"], dataset.metainfo["palette"], path)


def images_to_draw(args: argparse.Namespace, counted: Counted) -> list[int]:
    """Indices in the test set of the worst images, of the best, or of some spread over the set."""
    if not (args.worst or args.best):
        return list(spread(len(counted.right), args.pictures))
    order = -counted.right if args.best else counted.right
    return np.argsort(order, kind="stable")[: args.pictures].tolist()  # NaN is last


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    wanted = [METRICS, IOU, CONFUSION, *([PICTURES] if args.pictures else [])]
    if there := [args.out / name for name in wanted if args.out and (args.out / name).exists()]:
        raise MaskError(f"{there[0]} exists: choose another --out, or remove it")
    dataset = truth_of(args.config)
    images = [Path(dataset.get_data_info(index)["img_path"]) for index in range(len(dataset))]
    folders = zip(args.names, args.predictions, strict=True)
    runs = {name: predicted_files(folder, images) for name, folder in folders}
    counted = count(dataset, runs)
    found, classes = counted.scores(), dataset.metainfo["classes"]
    wide_console().print(table(found, classes))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        draw_scores(counted, classes, args.out)
        if args.pictures:
            draw(dataset, runs, images, images_to_draw(args, counted), args.out / PICTURES)
        write_json(args.out / METRICS, {name: as_plain(each, classes) for name, each in found.items()})
        print("wrote", " and ".join(str(args.out / name) for name in wanted))
    return 0
