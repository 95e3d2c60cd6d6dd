"""Draw the pictures of the README: `python -m research.draw_front_page`, in a minute of one core.

The first shows why the norm of a filter is a learning rate. The second shows four trainings on scikit-learn's digits:
without weight decay, with it, with corrected weight decay, and with WRS.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from normreg_plugins import CorrectedDecay, Method, WeightDecay, WeightRescaling, attach
from normreg_plugins.monitor import Monitor, Report
from normreg_plugins.plots import OKABE_ITO, log_scale, new_figure, style
from research.digits import tested_accuracy, training
from research.draw_methods import picture_parser, write_pictures
from research.nets import digits_net

RATE, DECAY = 0.1, 5e-3
RUNS: dict[str, tuple[float, Method]] = {
    "no weight decay": (0.0, WeightDecay()),
    "weight decay 5e-3": (DECAY, WeightDecay()),
    "corrected decay 5e-3": (DECAY, CorrectedDecay()),
    "WRS, every 10 updates": (DECAY, WeightRescaling(interval=10, output_layers=("9",))),  # the classifier too
}
"""The optimizer's weight decay, and the method."""
DROP = 0.6
"""The learning rate is divided by 10 after this part of the updates."""
Course = tuple[list[Report], float]


def train(decay: float, method: Method, updates: int) -> Course:
    """What the monitor reported, and the accuracy on the test images in %."""
    torch.manual_seed(0)
    model = digits_net()
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, weight_decay=decay)
    attach(optimizer, model, method)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [round(DROP * updates)], 0.1)
    reports: list[Report] = []
    with Monitor(optimizer, model, every=max(1, updates // 100), sinks=[reports.append]):
        for _ in training(model, optimizer, 0, updates, schedule=schedule):
            pass
    return reports, tested_accuracy(model, 0)


def draw_courses(courses: dict[str, Course]) -> Any:
    """Filter norms and effective rates over the updates."""
    figure = new_figure(9.6, 3.3)
    panels = figure.subplots(1, 2)
    for index, (name, (reports, score)) in enumerate(courses.items()):
        updates = [report.update for report in reports]
        label = f"{name} (accuracy {score:.1f} %)"
        for ax, field in zip(panels, ("filter_norm", "eta_over_squared_norm")):
            values = [getattr(report.overall, field) for report in reports]
            ax.plot(updates, values, label=label, **style(index, len(updates)))
    for ax, title in zip(panels, ("mean filter norm ‖w‖", "effective rate η / ‖w‖²")):
        ax.set_yscale("log")
        log_scale(ax.yaxis, *ax.dataLim.intervaly)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("update", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.25)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def draw_idea() -> Any:
    """A filter and its double compute the same. A step of SGD turns the double by a quarter of the angle."""
    figure = new_figure(9.6, 2.7)
    computes, turns = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for ax, title in (
        (computes, "A norm layer divides the scale away ..."),
        (turns, "... but a step turns the longer filter less"),
    ):
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
    _draw_network(computes)
    _draw_turns(turns)
    return figure


def _draw_network(ax: Any) -> None:
    ax.set(xlim=(0, 10), ylim=(0, 5))
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "black"}
    for height, filter_name, colour in ((3.6, "filter w", OKABE_ITO[0]), (1.4, "filter 2w", OKABE_ITO[1])):
        ax.text(1.3, height, filter_name, ha="center", va="center", color=colour, bbox={**box, "edgecolor": colour})
        ax.text(5.0, height, "norm layer", ha="center", va="center", bbox=box)
        ax.text(8.8, height, "same output", ha="center", va="center")
        for begin, end in ((2.35, 3.75), (6.25, 7.55)):
            ax.annotate("", (end, height), (begin, height), arrowprops={"arrowstyle": "->"})
        ax.text(3.05, height + 0.25, {"filter w": "x", "filter 2w": "2x"}[filter_name], ha="center", fontsize=9)
    ax.text(5.0, 0.3, "(x - mean) / deviation", ha="center", fontsize=9)


def _draw_turns(ax: Any) -> None:
    """The gradient of the double is half as long, at a right angle to the filter."""
    for length, height, colour, name, says in (
        (1.0, 0.0, OKABE_ITO[0], "w", "step of SGD, η g"),
        (2.0, -1.6, OKABE_ITO[1], "2w", "step at 2w, η g / 2"),
    ):
        tip, step = 2 * length, 1 / length
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (tip, height), (0, height), arrowprops={**arrow, "linewidth": 2})
        ax.annotate("", (tip, height + step), (tip, height), arrowprops={**arrow, "linewidth": 1.2})
        ax.plot([0, tip], [height, height + step], ":", color=colour)
        ax.text(length, height - 0.12, name, ha="center", va="top", color=colour)
        ax.text(tip + 0.15, height + step / 2, says, va="center", fontsize=9)
        turned = "turns by α" if length == 1 else "turns by about α / 4"
        ax.text(tip + 0.15, height + step / 2 - 0.35, turned, va="center", fontsize=9, fontweight="bold")
    ax.set(xlim=(-0.2, 7.6), ylim=(-2.1, 1.2))


def main(argv: Sequence[str] | None = None) -> int:
    parser = picture_parser(__doc__)
    parser.add_argument("--updates", type=int, default=1500, help="updates of each training (%(default)s)")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # the net is too small for more
    progress = track(RUNS.items(), "training", console=Console(stderr=True))
    courses = {name: train(decay, method, args.updates) for name, (decay, method) in progress}
    write_pictures({"idea": draw_idea(), "courses": draw_courses(courses)}, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
