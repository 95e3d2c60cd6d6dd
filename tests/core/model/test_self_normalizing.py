"""How the output of a layer follows its weight: layers that normalize it, and layers that do more than convolve."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers.nets import WIDTH, bn, conv, doubled, see_images, with_old_weight_norm
from helpers.traces import everything_about
from torch import Tensor, nn
from torch.ao import quantization
from torch.nn import functional as F

from normreg_plugins import find_scale_invariant
from normreg_plugins.core.model import SeesScale, scale_response, self_normalizing


def library_layer(library: str, name: str) -> nn.Module:
    return getattr(pytest.importorskip(library), name)(WIDTH, 2 * WIDTH, 3, padding=1)


class Foreign(nn.Conv2d):
    """A convolution of a library that nobody knows here."""

    def __init__(self, compute: Callable[[Foreign, Tensor], Tensor]) -> None:
        super().__init__(WIDTH, WIDTH, 3, padding=1)
        self.compute = compute
        self.bn = bn()
        self.down, self.up = conv(WIDTH, 1), nn.Parameter(torch.zeros(WIDTH, 1, 1, 1))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.compute(self, x)

    def plain(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight, self.bias)


def by_norm(m: Foreign, x: Tensor) -> Tensor:
    return m._conv_forward(x, m.weight / m.weight.flatten(1).norm(dim=1)[:, None, None, None], m.bias)


def standardized(m: Foreign, x: Tensor) -> Tensor:
    centred = m.weight - m.weight.mean((1, 2, 3), keepdim=True)
    return m._conv_forward(x, centred / centred.std((1, 2, 3), keepdim=True), m.bias)


def by_the_largest(m: Foreign, x: Tensor) -> Tensor:
    return m._conv_forward(x, m.weight / m.weight.abs().max(), m.bias)


def quantized(m: Foreign, x: Tensor) -> Tensor:
    return m._conv_forward(x, (m.weight / 0.01).round() * 0.01, m.bias)


def raising(*_: object) -> Tensor:
    raise OSError("its file is not there")


NORMALIZING = {
    "timm StdConv2d": (lambda: library_layer("timm.layers", "StdConv2d"), "std"),
    "timm StdConv2dSame": (lambda: library_layer("timm.layers", "StdConv2dSame"), "std"),
    "timm ScaledStdConv2d": (lambda: library_layer("timm.layers", "ScaledStdConv2d"), "std"),
    "timm ScaledStdConv2dSame": (lambda: library_layer("timm.layers", "ScaledStdConv2dSame"), "std"),
    "mmcv ConvWS2d": (lambda: library_layer("mmcv.cnn", "ConvWS2d"), "std"),
    "mmcv ConvAWS2d": (lambda: library_layer("mmcv.cnn", "ConvAWS2d"), "std"),
    "foreign, by norm": (lambda: Foreign(by_norm), "norm"),
    "foreign, by deviation": (lambda: Foreign(standardized), "std"),
}

SCALING = {
    "torch": conv,
    "transposed": lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, groups=2),
    "linear": lambda: nn.Linear(3, 4),
    "foreign": lambda: Foreign(Foreign.plain),
    "foreign, dropout": lambda: Foreign(lambda m, x: F.dropout(m.plain(x), 0.5, m.training)),
    "in half precision": lambda: Foreign(Foreign.plain).bfloat16(),
    "its forward raises": lambda: Foreign(raising),
    "its weight is not read": lambda: Foreign(lambda *both: both[1]),
    "parametrized": lambda: doubled(conv()),
    "weight norm": lambda: with_old_weight_norm(conv()),
}

MORE_THAN_A_CONVOLUTION = {
    "tanh": lambda m, x: m.plain(x).tanh(),
    "shift": lambda m, x: m.plain(x) + 0.5,
    "residual": lambda m, x: m.plain(x) + x,
    "LoRA": lambda m, x: m.plain(x) + F.conv2d(m.down(x), m.up),
    "fixed-step quantization": quantized,
    "batch norm inside": lambda m, x: m.bn(m.plain(x)),
    "divided by its largest entry": by_the_largest,
    "noise in training": lambda m, x: m.plain(x) + torch.rand_like(x) * m.training,
}


def unchanged_by(look: Callable[[nn.Module], object], module: nn.Module) -> bool:
    before = everything_about(module)
    look(module)
    return everything_about(module) == before


@pytest.mark.parametrize("name", NORMALIZING)
@pytest.mark.parametrize("known", [True, False])
def test_layers_that_normalize_their_weight(name: str, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the table says of a class, a trial of it finds too."""
    if not known:
        monkeypatch.setattr(self_normalizing, "STANDARDIZING", {})
    make, normalization = NORMALIZING[name]
    layer = make()
    assert scale_response(layer) == (normalization, None)
    assert unchanged_by(scale_response, layer)


@pytest.mark.parametrize("name", SCALING)
def test_layers_that_scale_with_their_weight_or_cannot_be_tried(name: str) -> None:
    layer = SCALING[name]()
    assert scale_response(layer) == (None, None)
    assert unchanged_by(scale_response, layer)


@pytest.mark.parametrize("forward", [None, see_images], ids=["by structure", "traced"])
@pytest.mark.parametrize("name", MORE_THAN_A_CONVOLUTION)
def test_a_layer_that_does_more_than_convolve_is_free(name: str, forward: Callable | None) -> None:
    net = nn.Sequential(conv(), bn(), Foreign(MORE_THAN_A_CONVOLUTION[name]), bn())
    verdicts = {v.name: v for v in find_scale_invariant(net, forward)}
    assert verdicts["0.weight"].kind == "invariant"
    assert verdicts["2.weight"].kind == "free"
    assert str(SeesScale.FORWARD) in verdicts["2.weight"].reason
    assert unchanged_by(lambda module: find_scale_invariant(module, forward), net)


class HookOwner:
    """What a bound hook drags along cannot be copied."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __deepcopy__(self, memo: dict) -> HookOwner:
        raise RuntimeError("a trainer is not copied")

    def tanh(self, module: nn.Module, args: tuple, output: Tensor) -> Tensor:
        return output.tanh()

    def shift(self, module: nn.Module, args: tuple, output: Tensor) -> None:
        output += 1

    def look(self, module: nn.Module, args: tuple, output: Tensor) -> None:
        self.seen.append(float(output.detach().std()))


@pytest.mark.parametrize(("hook", "kind"), [("tanh", "free"), ("shift", "free"), ("look", "invariant")])
def test_a_forward_hook_counts_if_it_changes_the_output(hook: str, kind: str) -> None:
    net = nn.Sequential(conv(), bn())
    net[0].register_forward_hook(getattr(HookOwner(), hook))
    assert find_scale_invariant(net)[0].kind == "invariant"  # a promise that the first forward may refute
    (verdict,) = find_scale_invariant(net, see_images)
    assert verdict.kind == kind
    assert (str(SeesScale.HOOK) in verdict.reason) == (kind == "free")
    assert unchanged_by(lambda module: find_scale_invariant(module, see_images), net)


@pytest.mark.parametrize("forward", [None, see_images], ids=["by structure", "traced"])
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:torch")
def test_layers_with_a_fake_quantization_are_free_also_before_it_is_enabled(fused, enabled, forward) -> None:
    net = nn.Sequential(conv(), bn())
    net.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    net = quantization.prepare_qat(quantization.fuse_modules_qat(net, ["0", "1"]) if fused else net)
    if not enabled:
        net.apply(quantization.disable_fake_quant)
    (verdict,) = find_scale_invariant(net, forward)
    assert verdict.kind == "free"
    assert unchanged_by(lambda module: find_scale_invariant(module, forward), net)
