"""The shapes of weights, layer by layer (WRS paper, Fig. 4b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.plots import new_figure, save, style
from research.filters.weight_shapes import Shape, WeightShape

REFERENCES = {1.0: "Laplace", 2.0: "Gauss"}


def plot_shapes(networks: Mapping[str, Sequence[WeightShape]], path: Path) -> None:
    """A curve per network over its layers: on the left in the space of the inputs, on the right as they stand."""
    if not networks or not all(networks.values()):
        raise NormRegError("there are no shapes to draw")
    names = [shape.name.removesuffix(".weight") for shape in next(iter(networks.values()))]
    figure = new_figure(max(8, 0.55 * len(names) + 2), 4)
    inputs, weights = figure.subplots(1, 2, sharey=True)
    for index, (label, shapes) in enumerate(networks.items()):
        _draw(inputs, label, [shape.in_input_space for shape in shapes], index)
        _draw(weights, label, [shape.weights for shape in shapes], index)
    for ax, title in ((inputs, "weights in input space"), (weights, "weights as they stand")):
        ax.set_title(title, fontsize=10)
        ax.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        ax.grid(alpha=0.25)
        for beta, name in REFERENCES.items():
            ax.axhline(beta, color="grey", linewidth=0.8, linestyle=":")
            ax.annotate(name, (0.01, beta), xycoords=("axes fraction", "data"), va="bottom", fontsize=7)
    inputs.set_ylabel("shape β (below 2: heavy tails)", fontsize=9)
    figure.legend(*weights.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    save(figure, Path(path))


def _draw(ax: Any, label: str, shapes: Sequence[Shape | None], index: int) -> None:
    betas = [float("nan") if shape is None else shape.beta for shape in shapes]
    ax.plot(range(len(betas)), betas, label=label, **{**style(index, len(betas)), "markevery": 1})
