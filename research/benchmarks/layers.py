"""What a weight normalization costs beside the fastest known one, without the convolution.

Ours beside timm's StdConv2d and mmcv's ConvWS2d (weight standardization) and torch's own weight norm, on filters as
large as those of YOLOv3's backbone.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from unittest import mock

import torch
import torch.nn.functional as F
from rich.table import Table
from timm.layers import StdConv2d
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from normreg_plugins.layers import CWNConv2d, WNConv2d, WSConv2d
from research.benchmarks.timing import at_least, interleaved, ratios

TIMM, TORCH = "timm's StdConv2d", "torch's weight_norm"
ROUNDS = 20
Convolution = Callable[..., nn.Module]


def torch_weight_norm(inputs: int, outputs: int, size: int, bias: bool) -> nn.Module:
    return weight_norm(nn.Conv2d(inputs, outputs, size, bias=bias))


RIVALS: dict[str, tuple[Convolution, str]] = {
    TIMM: (StdConv2d, TIMM),
    "WS": (WSConv2d, TIMM),
    "CWN": (CWNConv2d, TIMM),
    TORCH: (torch_weight_norm, TORCH),
    "WN": (WNConv2d, TORCH),
}
"""Every layer by name, and the name of the one that it is compared with."""


class Normalizations:
    """The convolutions of one kind, each with a gradient of its normalized weight."""

    def __init__(self, kind: Convolution, widths: Sequence[int]) -> None:
        torch.manual_seed(0)
        pairs = [((width // 2, width, 3), (width, width // 2, 1)) for width in widths]
        self.layers = [kind(*arguments, bias=False) for pair in pairs for arguments in pair]
        self.parameters = [parameter for layer in self.layers for parameter in layer.parameters()]
        self.weights: list[Tensor] = []
        self.forward()
        self.gradients = [torch.randn_like(weight) for weight in self.weights]

    def forward(self) -> None:
        """Compute the weights that the layers would convolve with."""
        for parameter in self.parameters:
            parameter.grad = None
        with mock.patch.object(F, "conv2d", lambda _input, weight, *_rest: weight):
            self.weights = [layer(None) for layer in self.layers]

    def backward(self) -> None:
        torch.autograd.backward(self.weights, self.gradients)


def add_options(parser: argparse.ArgumentParser) -> None:
    widths = [64, 128, 256, 512, 1024]
    parser.add_argument("--widths", type=at_least(2), nargs="+", default=widths, help="output channels of the stages")


def tables(args: argparse.Namespace) -> Iterator[Table]:
    layers = {name: Normalizations(kind, args.widths) for name, (kind, _) in RIVALS.items()}
    work = {(name, way): getattr(each, way) for name, each in layers.items() for way in ("forward", "backward")}
    times = interleaved(work, args.rounds)
    for name in RIVALS:
        times[name, "both"] = [sum(pair) for pair in zip(times[name, "forward"], times[name, "backward"])]
    shown = Table("normalization", "beside", "forward", "backward", "both")
    for name, (_, base) in RIVALS.items():
        found = [ratios(times[name, way], times[base, way]) for way in ("forward", "backward", "both")]
        shown.add_row(name, base, *(f"{statistics.median(each):.2f}" for each in found))
    yield shown
