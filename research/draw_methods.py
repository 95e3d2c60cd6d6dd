"""Draw the picture of each method's page: `python -m research.draw_methods`, in seconds.

One filter of two weights, in front of a batch norm, learns from random numbers. The picture is the path of the filter
in the plane, once without a method and once with it. The filter of PGD has three weights, and the picture shows the
plane of filters with mean 0.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from normreg_plugins import AdaptiveWeightShrink, Hyperball, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.methods import Method
from normreg_plugins.plots import OKABE_ITO, new_figure, save

UPDATES, BATCH = 40, 16
Path2D = list[tuple[float, float]]


@dataclass(frozen=True)
class Card:
    """What the picture of one method shows."""

    method: Method
    rate: float
    starts: tuple[float, ...]
    """Filter norms to begin with, one path for each."""
    circle: float | None
    """The filter norm that the method fixes."""
    plane: tuple[tuple[float, ...], tuple[float, ...]] = ((1.0, 0.0), (0.0, 1.0))
    """Two directions that span the picture. Their length is the number of weights of the filter."""


MEAN_ZERO = ((math.sqrt(1 / 2), -math.sqrt(1 / 2), 0.0), (math.sqrt(1 / 6), math.sqrt(1 / 6), -math.sqrt(2 / 3)))
CARDS = {
    "wrs": Card(WeightRescaling(interval=10), 0.6, (1.0,), 1.0),
    "aws": Card(AdaptiveWeightShrink(alpha=0.1), 0.6, (3.0, 0.8), None),
    "pgd": Card(SphereDescent(), 1.0, (math.sqrt(2),), math.sqrt(2), MEAN_ZERO),
    "hyperball": Card(Hyperball(per="filter"), 0.15, (1.5,), 1.5),
}


def path_of(card: Card, start: float, method: Method | None) -> Path2D:
    """Where the filter is before and after each update."""
    torch.manual_seed(0)
    plane = torch.tensor(card.plane)
    model = nn.Sequential(nn.Linear(plane.shape[1], 1, bias=False), nn.BatchNorm1d(1, affine=False))
    weight = model.get_parameter("0.weight")
    with torch.no_grad():
        weight.copy_(start * plane[:1])
    optimizer = torch.optim.SGD([weight], card.rate)
    if method is not None:
        attach(optimizer, model, method)
    places = [weight.detach().clone()]
    for _ in range(UPDATES):
        inputs, targets = torch.randn(BATCH, plane.shape[1]), torch.randn(BATCH, 1)
        optimizer.zero_grad()
        (model(inputs) - targets).square().mean().backward()
        optimizer.step()
        places.append(weight.detach().clone())
    return [_flat(plane, place) for place in places]


def _flat(plane: Tensor, weight: Tensor) -> tuple[float, float]:
    x, y = (plane @ weight[0]).tolist()
    return x, y


def draw(card: Card) -> Any:
    figure = new_figure(6.6, 3.3)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, method, title in zip(axes, (None, card.method), ("SGD alone", f"SGD and {card.method}")):
        for index, start in enumerate(card.starts):
            _draw_path(ax, path_of(card, start, method), OKABE_ITO[index])
        if card.circle is not None:
            turn = [2 * math.pi * place / 100 for place in range(101)]
            circle = [card.circle * math.cos(a) for a in turn], [card.circle * math.sin(a) for a in turn]
            ax.plot(*circle, ":", color="grey", linewidth=0.9)
        ax.plot(0, 0, "+", color="black")
        ax.set_aspect("equal")
        ax.set_title(title.split("(")[0], fontsize=10)
        ax.tick_params(labelsize=7)
    return figure


def _draw_path(ax: Any, path: Path2D, colour: str) -> None:
    xs, ys = zip(*path)
    ax.plot(xs, ys, "-", color=colour, linewidth=0.8, marker=".", markersize=4)
    ax.plot(xs[0], ys[0], "o", markerfacecolor="white", markeredgecolor=colour)
    ax.plot(xs[-1], ys[-1], "s", color=colour, markersize=5)


def picture_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments of a command that draws pictures of the pages."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="folder for the pictures (%(default)s)")
    return parser


def write_pictures(figures: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        save(figure, folder / f"{name}.svg")
        print(f"picture: {folder / name}.svg")


def main(argv: Sequence[str] | None = None) -> int:
    args = picture_parser(__doc__).parse_args(argv)
    write_pictures({name: draw(card) for name, card in CARDS.items()}, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
