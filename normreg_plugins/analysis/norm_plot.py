"""Draws the filter norms over a run, from the scalars that NormLogHook wrote."""

from __future__ import annotations

import json
from pathlib import Path

from normreg_plugins.whole_files import replacing

PREFIX = "norms/"
FILTERS = {"min": "least", "mean": "mean", "max": "greatest"}
LAYERS = {"smallest_layer": "mean of the smallest layer", "largest_layer": "mean of the largest layer"}

Rows = list[dict[str, float]]


def norm_rows(scalars: Path) -> Rows:
    """The entries of mmengine's scalars.json that hold filter norms, in the order of their updates."""
    rows = [json.loads(line) for line in scalars.read_text(encoding="utf-8").splitlines() if line.strip()]
    kept = [row for row in rows if any(key.startswith(PREFIX) for key in row)]
    return sorted(kept, key=lambda row: row["step"])


def plot_norms(rows: Rows, path: Path) -> None:
    """Write a PNG of the least, mean and greatest filter norm and the least and greatest mean of a layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in rows]
    for names, style in ((FILTERS, "-"), (LAYERS, "--")):
        for name, label in names.items():
            values = [row.get(PREFIX + name) for row in rows]
            axes.plot(steps, [value or float("nan") for value in values], style, label=label)
    axes.set(xlabel="update", ylabel="filter norm", yscale="log", title="Weights the method acts on")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=130)
