"""Pictures of runs and models.

`plot_runs`: filter norms, effective rates, rotation, loss and score of one run or several, and every layer.
`plot_layers`: heat maps of the layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.monitor.files import Run, read_run
from normreg_plugins.monitor.report import PREFIX
from normreg_plugins.plots import log_scale, new_figure, save, style, thinned

PANEL_WIDTH, PANEL_HEIGHT = 4.0, 2.9
SCORES = ("map", "miou", "mae", "dice", "score", "acc")
"""What the names of scores have in them, the most telling first."""


class Panel(NamedTuple):
    title: str
    key: str
    """The name of a scalar."""
    log: bool = True


RATES = {
    "eta_over_squared_norm": Panel("effective rate of SGD, η / ‖w‖²", PREFIX + "eta_over_squared_norm"),
    "eta_over_norm": Panel("effective rate of adaptive optimizers, η / ‖w‖", PREFIX + "eta_over_norm"),
}
ROTATION, EXPECTED = PREFIX + "rotation_degrees", PREFIX + "expected_rotation_degrees"
TITLES = {"rotation_degrees": "rotation per update in degrees,"}
"""Of heat maps, where the name of the field does not say enough."""
ALIKE = 1.1
"""Filter norms within this factor count as one."""


def plot_runs(
    runs: Mapping[str, Path] | Sequence[Path], path: Path, *, loss: str = "loss", scores: Sequence[str] = ()
) -> None:
    """Several runs on one axis each for filter norm, effective rate, rotation, gradient, loss, scores; below, layers.

    Args:
        runs: files that `read_run` knows; the keys of a mapping are the names in the legend.
        path: a PNG or SVG file.
        loss: the scalar to draw as loss.
        scores: the scalars to draw as scores; without any, the first that looks like one.
    """
    read = read_runs(runs)
    panels = [panel for panel in _panels(read, loss, scores) if any(_shows(panel, run) for run in read)]
    maps = [run for run in read if len(run.layer_steps) > 1]
    if not panels:
        raise NormRegError(f"{', '.join(run.name for run in read)}: no filter norms, loss or score to draw")
    columns = 3 if len(panels) <= 6 else 4
    rows, map_rows = math.ceil(len(panels) / columns), math.ceil(len(maps) / columns)
    heights = [PANEL_HEIGHT * rows, _map_height(maps) * map_rows][: 2 if maps else 1]
    figure = new_figure(PANEL_WIDTH * columns, sum(heights) + 0.5)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flatten()
    axes = parts[0].subplots(rows, columns, squeeze=False, sharex=True).flatten()
    for panel, ax in zip(panels, axes):
        _draw_panel(ax, panel, read)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    parts[0].legend(handles, labels, loc="outside upper center", ncols=min(columns, len(read)), frameon=False)
    if maps:
        draw_layers(parts[1], maps, _most_telling(maps), columns)
    save(figure, Path(path))


def plot_layers(runs: Mapping[str, Path] | Sequence[Path], path: Path, quantity: str = "filter_norm") -> None:
    """A heat map per run: one row per layer, updates to the right.

    Args:
        quantity: a field of `Row`.
    """
    read = [run for run in read_runs(runs) if run.layer_steps]
    if not read or quantity not in read[0].layers:
        known = ", ".join(read[0].layers) if read else "no run has layers"
        raise NormRegError(f"quantity={quantity!r}: not logged per layer (there is: {known})")
    columns = min(3, len(read))
    figure = new_figure(PANEL_WIDTH * max(2, columns), _map_height(read) * math.ceil(len(read) / columns))
    draw_layers(figure, read, quantity, columns)
    save(figure, Path(path))


def read_runs(runs: Mapping[str, Path] | Sequence[Path]) -> list[Run]:
    named = runs.items() if isinstance(runs, Mapping) else [(None, path) for path in runs]
    read = [read_run(path, name) for name, path in named]
    if not read:
        raise NormRegError("no run to draw")
    return read


def _panels(runs: Sequence[Run], loss: str, scores: Sequence[str]) -> list[Panel]:
    laws = {run.rate_law for run in runs}
    rates = [panel for law, panel in RATES.items() if law in laws or None in laws]
    keys = {key for run in runs for key in run.curves}
    if missing := [score for score in scores if score not in keys]:
        raise NormRegError(f"{', '.join(run.name for run in runs)}: no run has logged {', '.join(missing)}")
    named = sorted(key for key in keys if not key.startswith(PREFIX))
    scores = scores or [key for part in SCORES for key in named if part in key.lower()][:1]
    return [
        Panel("filter norm, mean (line) and range (shade)", PREFIX + "mean"),
        *rates,
        Panel("rotation per update, degrees (dotted: in equilibrium)", ROTATION),
        Panel("effective gradient norm, ‖g‖ / ‖w‖", PREFIX + "effective_gradient_norm"),
        Panel(loss, loss),
        *(Panel(score, score, log=False) for score in scores),
    ]


def _shows(panel: Panel, run: Run) -> bool:
    """Whether the run has the scalar of the panel. Of the two rates, only the effective one of its optimizer counts."""
    wrong_rate = panel in RATES.values() and run.rate_law is not None and panel != RATES[run.rate_law]
    return panel.key in run.curves and not wrong_rate


def _draw_panel(ax: Any, panel: Panel, runs: Sequence[Run]) -> None:
    for index, run in enumerate(runs):
        x, y = run.curves[panel.key] if _shows(panel, run) else ([], [])
        x, y = thinned(x, y)
        looks = style(index, len(x))
        ax.plot(x, y, label=run.name, **looks)
        if x and panel.key == PREFIX + "mean" and PREFIX + "min" in run.curves:
            least, greatest = (thinned(*run.curves[PREFIX + end])[1] for end in ("min", "max"))
            ax.fill_between(x, least, greatest, color=looks["color"], alpha=0.15, linewidth=0.6)
        if x and panel.key == ROTATION and EXPECTED in run.curves:
            ax.plot(*thinned(*run.curves[EXPECTED]), color=looks["color"], linestyle=":", linewidth=0.9)
    values = [value for line in ax.lines for value in line.get_ydata()]
    if panel.log and min(values) > 0:
        ax.set_yscale("log")
        log_scale(ax.yaxis, *_limits(ax))
    ax.set_title(panel.title, fontsize=10)
    ax.set_xlabel("update", fontsize=9)
    ax.tick_params(labelsize=8, labelbottom=True)
    ax.grid(alpha=0.25, which="major")


def _limits(ax: Any) -> tuple[float, float]:
    """The range of the values, widened where they are all alike: else rounding errors would fill the panel."""
    least, greatest = ax.dataLim.intervaly
    if greatest < least * ALIKE:
        least, greatest = least / ALIKE, greatest * ALIKE
        ax.set_ylim(least, greatest)
    return least, greatest


def _most_telling(runs: Sequence[Run]) -> str:
    """Filter norms per layer, or rotation where a method keeps all norms as they are."""
    norms = [run.layers["filter_norm"] for run in runs]
    moves = any(max(layer) > ALIKE * min(layer) for run in norms for layer in zip(*run))
    has_rotation = all("rotation_degrees" in run.layers for run in runs)
    return "filter_norm" if moves or not has_rotation else "rotation_degrees"


def draw_layers(figure: Any, runs: Sequence[Run], quantity: str, columns: int) -> None:
    """Heat maps with one colour scale, which is logarithmic: a factor looks the same wherever it stands."""
    from matplotlib.colors import LogNorm, Normalize

    positive = [v for run in runs for report in run.layers[quantity] for v in report if v > 0]
    scale = LogNorm(min(positive), max(positive)) if positive else Normalize(0, 1)
    rows = math.ceil(len(runs) / columns)
    axes = figure.subplots(rows, min(columns, len(runs)), squeeze=False).flatten()
    for ax, run in zip(axes, runs):
        image = _draw_layers_of(ax, run, quantity, scale)
    for ax in axes[len(runs) :]:
        ax.set_axis_off()
    bar = figure.colorbar(image, ax=list(axes), pad=0.01, aspect=25)
    if positive:
        log_scale(bar.ax.yaxis, min(positive), max(positive))
    bar.ax.tick_params(labelsize=8)
    figure.suptitle(f"{TITLES.get(quantity, quantity.replace('_', ' '))} of each layer", fontsize=10)


def _draw_layers_of(ax: Any, run: Run, quantity: str, scale: Any) -> Any:
    every = max(1, len(run.layer_steps) // 200)
    steps, matrix = run.layer_steps[::every], run.layers[quantity][::every]
    columns = list(zip(*matrix))
    looks: dict[str, Any] = {"cmap": "cividis", "rasterized": True, "shading": "nearest"}
    image = ax.pcolormesh(steps, range(len(columns)), columns, norm=scale, **looks)
    shown = range(0, len(columns), max(1, math.ceil(len(columns) / 24)))
    ax.set_yticks(list(shown), [run.layer_names[i].removesuffix(".weight") for i in shown], fontsize=7)
    ax.invert_yaxis()
    ax.set_title(run.name, fontsize=10)
    ax.set_xlabel("update", fontsize=9)
    ax.tick_params(axis="x", labelsize=8)
    return image


def _map_height(runs: Sequence[Run]) -> float:
    layers = max((len(run.layer_names) for run in runs), default=0)
    return 1.3 + min(24, layers) * 0.16
