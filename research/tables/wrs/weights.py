"""Weights of saved checkpoints (WRS paper, Fig. 3-5): `python -m research.tables.wrs.weights norms FOLDER...`.

  norms       a line for each output channel of a layer over training: its filter norm (Fig. 3)
  over-time   the shape beta of a layer over training, as stored and in the space of its inputs (Fig. 4a)
  shapes      beta of every layer of the last checkpoint (Fig. 4b)
  histograms  a layer's weights in the space of its inputs, and the fitted density (Fig. 5)

A folder is a cell of a comparison with `checkpoints`. --layer counts convolutions from 1. A panel for each folder.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import gennorm
from torch import Tensor, nn

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import load_checkpoint
from normreg_plugins.plots import new_figure, save, style
from research.compare.cells import read_settings
from research.nets import conv_weights, filter_norms
from research.tables.wrs.weight_shapes import basis, convolution, input_covariances, shape_of, weight_shapes

Axes = Any


def model_of(folder: Path, images: int) -> tuple[nn.Module, Tensor]:
    """The net of a cell, and some of the pictures that it learned from."""
    settings, seed = read_settings(folder)
    if "epochs" in settings and "pictures" in settings:
        from research.cifar.training import as_input, built, parts_of, training_of

        learned = parts_of(run := training_of(settings), seed).learned
        return built(run, learned), as_input(learned.images[:images])
    from research.cifar.in_mm import model_and_images

    return model_and_images(settings, images)


def checkpoints_of(folder: Path) -> dict[int, Path]:
    """By update or epoch."""
    found = {int(re.findall(r"\d+", path.stem)[-1]): path for path in folder.glob("*_[0-9]*.pth")}
    if not found:
        raise NormRegError(f"{folder} has no checkpoints: its comparison needs the setting checkpoints=10, for example")
    return dict(sorted(found.items()))


def load(model: nn.Module, path: Path) -> nn.Module:
    model.load_state_dict(load_checkpoint(path)["state_dict"])
    return model


def conv_names(model: nn.Module) -> list[str]:
    return [f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]


def draw_norms(axes: Axes, folder: Path, layer: int, images: int) -> None:
    model, _ = model_of(folder, images)
    saved = checkpoints_of(folder)
    norms = [filter_norms(conv_weights(load(model, path))[layer - 1 : layer]).tolist() for path in saved.values()]
    axes.plot(list(saved), norms, linewidth=0.8)
    axes.set(xlabel="update or epoch", ylabel=f"filter norms of convolution {layer}")


def draw_over_time(axes: Axes, folder: Path, layer: int, images: int) -> None:
    model, pictures = model_of(folder, images)
    saved = checkpoints_of(folder)
    name = conv_names(model)[layer - 1]
    shapes = [weight_shapes(load(model, path), [name], pictures)[0] for path in saved.values()]
    _lines(axes, list(saved), shapes)
    axes.set(xlabel="update or epoch", ylabel=f"shape beta of convolution {layer}")


def draw_shapes(axes: Axes, folder: Path, _: int, images: int) -> None:
    model, pictures = model_of(folder, images)
    model = load(model, [*checkpoints_of(folder).values()][-1])
    shapes = weight_shapes(model, conv_names(model), pictures)
    _lines(axes, range(1, len(shapes) + 1), shapes)
    axes.set(xlabel="convolution", ylabel="shape beta")


def _lines(axes: Axes, x: Sequence[int], shapes: Sequence[Any]) -> None:
    for index, field in enumerate(("weights", "in_input_space")):
        axes.plot(x, [getattr(shape, field) for shape in shapes], label=field.replace("_", " "), **style(index, len(x)))
    axes.axhline(2, color="grey", linewidth=0.8, linestyle=":")
    axes.legend(fontsize=7)


def draw_histograms(axes: Axes, folder: Path, layer: int, images: int) -> None:
    model, pictures = model_of(folder, images)
    model = load(model, [*checkpoints_of(folder).values()][-1]).eval()
    name = conv_names(model)[layer - 1]
    covariance = input_covariances(model, {name: convolution(model, name)}, pictures)[name]
    values = (conv_weights(model)[layer - 1].detach().flatten(1).double() @ basis(covariance)).flatten()
    beta = shape_of(values)
    scale = (beta * values.abs().pow(beta).mean()).pow(1 / beta).item()
    most = values.abs().quantile(0.995).item()
    places = np.linspace(-most, most, 200)
    axes.hist(values.numpy(), bins=100, density=True, range=(-most, most))
    axes.plot(places, gennorm.pdf(places, beta, scale=scale), label=f"beta {beta:.2f}")
    axes.set(xlabel=f"weights of convolution {layer} in input space", ylabel="density")
    axes.legend(fontsize=7)


PICTURES: dict[str, Callable[[Axes, Path, int, int], None]] = {
    "norms": draw_norms,
    "over-time": draw_over_time,
    "shapes": draw_shapes,
    "histograms": draw_histograms,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("picture", choices=PICTURES)
    add("folders", type=Path, nargs="+", metavar="FOLDER")
    add("--layer", type=int, default=6, help="which convolution (%(default)s)")
    add("--images", type=int, default=500, help="of the training set, to find the space of a layer's inputs")
    add("--out", type=Path, default=Path("weights.png"))
    args = parser.parse_args(argv)
    figure = new_figure(4.5 * len(args.folders), 3.6)
    axes = figure.subplots(1, len(args.folders), squeeze=False, sharey=args.picture != "histograms")[0]
    for ax, folder in zip(axes, args.folders, strict=True):
        PICTURES[args.picture](ax, folder, args.layer, args.images)
        ax.set_title(folder.name, fontsize=9)
    save(figure, args.out)
    print(f"picture: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
