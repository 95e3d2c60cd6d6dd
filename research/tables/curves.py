"""Curves of trainings, from what their monitors logged: `python -m research.tables.curves FOLDER... --y QUANTITY`.

  --y effective_gradient_norm --layers layers.3 --smooth 0.6    WRS paper, Fig. 2a
  --y eta_over_std --layers conv1 layer2.0.conv1                AWS paper, Fig. 2 and 4
  --y accuracy                                                  WRS paper, Fig. 1 and 6; AWS paper, Fig. 5 and 6
  --y count/RMSE --smooth 0.9                                   WRS paper, Fig. 7.3
  --y loss accuracy                                             constrained paper, Fig. 2

A folder is a cell of a comparison, or a run of `normreg train`. --layers takes parts of names from a dot on, such as
0.weight, which is not 10.weight; each layer has a line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.monitor.files import Run, logs_of, read_run
from normreg_plugins.plots import new_figure, save, style

Curve = tuple[Sequence[float], Sequence[float]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="FOLDER")
    add(
        "--y",
        nargs="+",
        required=True,
        help="scalars of the log or, with --layers, quantities of each layer: a panel each",
    )
    add("--layers", nargs="+", default=[], help="parts of layer names")
    add("--smooth", type=float, default=0.0, help="share of the old mean in an exponential moving average")
    add("--log", action="store_true", help="logarithmic")
    add("--out", type=Path, default=Path("curves.png"))
    args = parser.parse_args(argv)
    runs = [read_run(path, name) for name, path in logs_of(args.runs).items()]
    figure = new_figure(7 * len(args.y), 4.5)
    for axes, quantity in zip(figure.subplots(1, len(args.y), squeeze=False)[0], args.y, strict=True):
        lines = [
            (f"{run.name} {layer}".strip(), *curve)
            for run in runs
            for layer, curve in curves_of(run, quantity, args.layers).items()
        ]
        for index, (label, steps, values) in enumerate(lines):
            axes.plot(steps, smoothed(values, args.smooth), label=label, **style(index, len(steps)))
        axes.set(xlabel="update", ylabel=quantity, yscale="log" if args.log else "linear")
        axes.legend(fontsize=7)
    save(figure, args.out)
    print(f"picture: {args.out}")
    return 0


def curves_of(run: Run, quantity: str, layers: Sequence[str]) -> dict[str, Curve]:
    """By layer, or one without a name."""
    if not layers:
        if quantity not in run.curves:
            raise NormRegError(f"{run.name} logged no {quantity}, only {', '.join(sorted(run.curves))}")
        return {"": run.curves[quantity]}
    places = [place for place, name in enumerate(run.layer_names) if any(f".{part}" in f".{name}" for part in layers)]
    if not places or quantity not in run.layers:
        raise NormRegError(f"{run.name}: no {quantity} of {', '.join(layers)}, only of {', '.join(run.layer_names)}")
    return {run.layer_names[at]: (run.layer_steps, [row[at] for row in run.layers[quantity]]) for at in places}


def smoothed(values: Sequence[float], share: float) -> list[float]:
    """m <- share m + (1 - share) x, beginning at the first value."""
    means = list(values[:1])
    for value in values[1:]:
        means.append(share * means[-1] + (1 - share) * value)
    return means


if __name__ == "__main__":
    sys.exit(main())
