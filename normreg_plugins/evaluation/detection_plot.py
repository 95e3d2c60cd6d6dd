"""Draws F1, precision and recall over the confidence, one line per run, as Fig. 9 of the WRS paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from normreg_plugins.evaluation.detection_curves import Curves
from normreg_plugins.whole_files import replacing

PANELS = {"f1": "F1", "precision": "Precision", "recall": "Recall"}


def plot_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Write a PNG with three panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
        for label, curves in runs.items():
            axes.plot(curves.confidence, getattr(curves, name), label=label)
        axes.set(title=title, xlabel="confidence threshold", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    axes.legend(loc="best")
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150)
