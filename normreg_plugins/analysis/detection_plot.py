"""F1, precision and recall over confidence, one line per run: the WRS paper's Fig. 9."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from normreg_plugins.analysis.detection import Curves

PANELS = {"f1": "F1", "precision": "Precision", "recall": "Recall"}


def plot_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Three panels side by side in a PNG file."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(1, 3), PANELS.items(), strict=True):
        for label, curves in runs.items():
            axes.plot(curves.confidence, getattr(curves, name), label=label)
        axes.set(title=title, xlabel="confidence threshold", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    axes.legend(loc="best")
    unfinished = path.with_name(f".unfinished-{path.name}")
    figure.savefig(unfinished, format="png", dpi=150)
    unfinished.replace(path)
