"""Pictures of detections: boxes on images, and scores over the confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normreg_plugins.crowd.data.images import Pixels
from normreg_plugins.evaluation.detection import Curves, Pair, mistakes
from normreg_plugins.plots import OKABE_ITO, new_figure, save, style

PANELS = {"f1": "F1", "precision": "Precision", "recall": "Recall"}
RIGHT, WRONG, MISSED = OKABE_ITO[6], OKABE_ITO[1], OKABE_ITO[5]


@dataclass(frozen=True)
class DetectedImage:
    """One image, and how each run's detections pair with its true boxes."""

    name: str
    image: Pixels
    pairs: Mapping[str, Sequence[Pair]]


def plot_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Write a picture with three panels side by side, over the confidence below which detections are dropped."""
    figure = new_figure(4 * len(PANELS), 3.8)
    for axes, (name, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        for index, (run, curves) in enumerate(runs.items()):
            axes.plot(curves.confidence, getattr(curves, name), label=run, **style(index, curves.confidence.size))
        axes.set(title=title, xlabel="confidence threshold", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=min(4, len(runs)), frameon=False)
    save(figure, path)


def plot_detected_images(images: Sequence[DetectedImage], classes: Mapping[int, str], path: Path) -> None:
    """Write a picture with a row for each image and a column for each run.

    Args:
        classes: names by category id.
    """
    runs = list(images[0].pairs)
    heights = [each.image.shape[0] / each.image.shape[1] for each in images]
    figure = new_figure(3.6 * len(runs), 3.6 * sum(heights) + 0.35 * len(images) + 0.5)
    grid = figure.subplots(len(images), len(runs), squeeze=False, height_ratios=heights)
    for each, row in zip(images, grid, strict=True):
        for ax, run in zip(row, runs, strict=True):
            ax.imshow(each.image)
            for pair in each.pairs[run]:
                _draw_pair(ax, *pair, classes)
            ax.set_title(f"{each.name}, {run}: {mistakes(each.pairs[run])} mistakes", fontsize=8)
            ax.set_axis_off()
    columns = 3 if len(runs) > 1 else 1  # one run has no room for all beside each other
    figure.legend(handles=_legend(), loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    save(figure, path, photographs=True)


def _draw_pair(ax: Any, true: Any, predicted: Any, classes: Mapping[int, str]) -> None:
    if predicted is None:
        _draw_box(ax, true["bbox"], MISSED, ":", classes[true["category_id"]])
        return
    right = true is not None and true["category_id"] == predicted["category_id"]
    text = f"{classes[predicted['category_id']]} {predicted['score']:.2f}"
    if true is not None and not right:
        text += f" (is {classes[true['category_id']]})"
    _draw_box(ax, predicted["bbox"], RIGHT if right else WRONG, "-" if right else "--", text)


def _draw_box(ax: Any, box: Sequence[float], colour: str, line: str, text: str) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    for shade, thick in (("black", 2.6), (colour, 1.4)):  # seen on dark and light ground
        ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=shade, linewidth=thick, linestyle=line))
    ground = {"facecolor": colour, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    ax.text(x, y, text, fontsize=6, color="black", va="bottom", bbox=ground, clip_on=True)


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D

    kinds = (("right class", RIGHT, "-"), ("wrong class, or nothing there", WRONG, "--"), ("missed", MISSED, ":"))
    return [Line2D([], [], color=colour, linestyle=line, label=label) for label, colour, line in kinds]
