#!/usr/bin/env python
"""What a weight normalization costs beside the fastest known one.

Run `python research/benchmark_weight_normalization.py`.

Ours against timm's StdConv2d and mmcv's ConvWS2d (weight standardization) and torch's own weight norm, on filters as
large as those of YOLOv3's backbone. Only the normalization runs, forward and backward; every convolution is left out.
All layers take turns, round by round, so that a busy machine slows all alike. What counts are the ratios, medians over
the rounds. "kept" is the memory that a layer keeps for its backward, besides its parameters and the weight that it
convolves with, divided by the memory of its weights.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from unittest import mock

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timm.layers import StdConv2d
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from normreg_plugins.cli.console import wide_console
from normreg_plugins.layers import BWNConv2d, CWNConv2d, WNConv2d, WSConv2d

TIMM, TORCH = "timm's StdConv2d", "torch's weight_norm"
Convolution = Callable[..., nn.Module]


def torch_weight_norm(inputs: int, outputs: int, size: int, bias: bool) -> nn.Module:
    return weight_norm(nn.Conv2d(inputs, outputs, size, bias=bias))


def rivals() -> dict[str, tuple[Convolution, str]]:
    """Every layer by name, and the one that it is compared with."""
    found: dict[str, tuple[Convolution, str]] = {
        TIMM: (StdConv2d, TIMM),
        "WS": (WSConv2d, TIMM),
        "CWN": (CWNConv2d, TIMM),
        TORCH: (torch_weight_norm, TORCH),
        "WN": (WNConv2d, TORCH),
        "BWN": (BWNConv2d, TORCH),
    }
    if find_spec("mmcv"):
        from mmcv.cnn.bricks.conv_ws import ConvWS2d

        found["mmcv's ConvWS2d"] = (ConvWS2d, TIMM)
    return found


def _weight_alone(_input: None, weight: Tensor, *_rest: object) -> Tensor:
    """What a convolution is called with, in place of the convolution."""
    return weight


class Normalizations:
    """The convolutions of one kind, each with a gradient that comes from behind."""

    def __init__(self, kind: Convolution, widths: Sequence[int]) -> None:
        torch.manual_seed(0)
        pairs = [((width // 2, width, 3), (width, width // 2, 1)) for width in widths]
        self.layers = [kind(*arguments, bias=False) for pair in pairs for arguments in pair]
        self.outer = [torch.randn_like(weight) for weight in self.normalized()]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def normalized(self) -> list[Tensor]:
        """The weights that the layers would convolve with."""
        with mock.patch.object(F, "conv2d", _weight_alone):
            return [layer(None) for layer in self.layers]

    def seconds(self) -> tuple[float, float]:
        """Of one forward and one backward."""
        for parameter in self.parameters:
            parameter.grad = None
        start = time.perf_counter()
        weights = self.normalized()
        middle = time.perf_counter()
        torch.autograd.backward(weights, self.outer)
        return middle - start, time.perf_counter() - middle

    def kept(self) -> float:
        """Bytes kept for backward, as a part of the weights' own."""
        storages: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            weights = self.normalized()
        there_anyway = {tensor.untyped_storage().data_ptr() for tensor in (*self.parameters, *weights)}
        kept = sum(size for storage, size in storages.items() if storage not in there_anyway)
        return kept / sum(weight.untyped_storage().nbytes() for weight in weights)


Times = dict[str, list[tuple[float, float]]]


def interleaved(work: dict[str, Normalizations], rounds: int) -> Times:
    """Seconds of forward and backward in each round; the first round warms up and is dropped."""
    times: Times = {name: [] for name in work}
    for _ in track(range(rounds + 1), "measuring", console=Console(stderr=True)):
        for name, layers in work.items():
            times[name].append(layers.seconds())
    return {name: found[1:] for name, found in times.items()}


def ratios(times: Times, name: str, base: str) -> tuple[float, ...]:
    """Forward, backward and both of one, divided by those of another; medians over the rounds."""
    parts = [(*mine, sum(mine), *theirs, sum(theirs)) for mine, theirs in zip(times[name], times[base], strict=True)]
    return tuple(statistics.median(part[index] / part[index + 3] for part in parts) for index in range(3))


def result_table(times: Times, compared: dict[str, tuple[Convolution, str]], kept: dict[str, float]) -> Table:
    shown = Table("normalization", "beside")
    for column in ("forward", "backward", "both", "kept"):
        shown.add_column(column, justify="right")
    for name, (_, base) in compared.items():
        forward, backward, both = ratios(times, name, base)
        shown.add_row(name, base, f"{forward:.2f}", f"{backward:.2f}", f"{both:.2f}", f"{kept[name]:.2f}")
    return shown


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--widths", type=int, nargs="+", default=[64, 128, 256, 512, 1024], help="output channels of the stages")
    add("--rounds", type=int, default=20, help="timed rounds (default: 20)")
    add("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    for name, value, least in (
        ("widths", min(args.widths), 2),
        ("rounds", args.rounds, 1),
        ("threads", args.threads, 1),
    ):
        if value < least:
            parser.error(f"--{name} {value}: must be {least} or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    compared = rivals()
    work = {name: Normalizations(kind, args.widths) for name, (kind, _) in compared.items()}
    times = interleaved(work, args.rounds)
    millions = sum(parameter.numel() for parameter in work["WS"].parameters) / 1e6
    console = wide_console()
    version = torch.__version__.split("+")[0]
    console.print(f"torch {version}, {args.threads} threads, {millions:.1f} M weights, {args.rounds} rounds")
    console.print(result_table(times, compared, {name: layers.kept() for name, layers in work.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
