"""Draws F1, precision and recall, one line per run: over the confidence, or over training (Fig. 9 of the WRS paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normreg_plugins.evaluation.detection_curves import Curves, Floats
from normreg_plugins.whole_files import replacing

Line = tuple[Sequence[float] | Floats, Sequence[float] | Floats]
"""Where on the axis, and the score there."""
PANELS = {"f1": "F1", "precision": "Precision", "recall": "Recall"}


def plot_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Write a PNG with three panels side by side, over the confidence below which detections are dropped."""
    lines = {run: {name: (c.confidence, getattr(c, name)) for name in PANELS} for run, c in runs.items()}
    with replacing(path) as unfinished:
        _panels(PANELS, lines, "confidence threshold", xlim=(0, 1), ylim=(0, 1.02)).savefig(unfinished, format="png")


def plot_training(runs: Mapping[str, Mapping[str, Line]], panels: Mapping[str, str], path: Path) -> None:
    """Write a PNG with one panel per score, over the epochs of training, or over what validation counts in.

    Args:
        runs: the lines of each run, by the name of the score.
        panels: the title of each score's panel.
    """
    with replacing(path) as unfinished:
        _panels(panels, runs, "epoch or iteration").savefig(unfinished, format="png")


def _panels(titles: Mapping[str, str], runs: Mapping[str, Mapping[str, Line]], xlabel: str, **limits: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(titles), 3.8), layout="constrained", dpi=150)
    for axes, (name, title) in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles.items(), strict=True):
        for label, lines in runs.items():
            x, y = lines.get(name, ((), ()))
            axes.plot(x, y, label=label, marker="." if len(x) < 2 else None)
        axes.set(title=title, xlabel=xlabel, **limits)
        axes.grid(alpha=0.3)
    axes.legend(loc="best")
    return figure
