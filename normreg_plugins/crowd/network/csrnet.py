"""CSRNet (Li, Zhang & Chen, CVPR 2018), configuration B: a VGG16 front, a dilated back, stride 8."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 8
FRONT = {  # the name of each convolution of VGG16, and its width; a pool comes before each new first number
    "conv1_1": 64,
    "conv1_2": 64,
    "conv2_1": 128,
    "conv2_2": 128,
    "conv3_1": 256,
    "conv3_2": 256,
    "conv3_3": 256,
    "conv4_1": 512,
    "conv4_2": 512,
    "conv4_3": 512,
}
BACK = {"back1": 512, "back2": 512, "back3": 512, "back4": 256, "back5": 128, "back6": 64}
DILATION = 2
# The index N of each convolution in torchvision's `features.N`. Its batch norm, if there is one, is `features.N+1`.
VGG16 = dict(zip(FRONT, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21), strict=True))
VGG16_BN = dict(zip(FRONT, (0, 3, 7, 10, 14, 17, 20, 24, 27, 30), strict=True))

ConvFactory = Callable[..., nn.Module]
NormFactory = Callable[[int], nn.Module]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "relu": F.relu,
    "free": lambda density: density,
}


class CSRNet(nn.Module):
    """Maps images [B, 3, H, W] to density maps [B, 1, ceil(H / 8), ceil(W / 8)]; the sum of a map is its count.

    Images may have any size. They are padded at the right and bottom to a multiple of 8 pixels. A cell that is partly
    padding counts in full, because nobody is in the padding.

    Args:
        norm: makes the norm layer of each of the sixteen 3x3 convolutions from its width. None makes the
            original network, without norm layers. The 1x1 output layer never has one.
        conv: makes these convolutions, with the arguments of `nn.Conv2d`. They have a bias only
            where no norm layer follows.
        output: 'abs', 'relu' or 'free'. The original is 'free': its density can be negative, and negative
            density cancels people in the count.
        width: factor on the channels of every 3x3 convolution. The ImageNet weights of VGG16 need 1. They are
            loaded by `load_pretrained_(model, named_as_csrnet(torchvision's state_dict))`.
    """

    def __init__(
        self,
        norm: NormFactory | None = nn.BatchNorm2d,
        conv: ConvFactory = nn.Conv2d,
        output: str = "abs",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if output not in ACTIVATIONS:
            raise ValueError(f"output {output!r} is none of {list(ACTIVATIONS)}")
        if not width > 0:
            raise ValueError(f"width must be above 0, got {width}")
        self.activation = output
        block = partial(_block, norm, conv)
        front, back = _scaled(FRONT, width), _scaled(BACK, width)
        self.front = nn.Sequential(_front(block, front))
        self.back = nn.Sequential(_back(block, front["conv4_3"], back))
        self.output = nn.Conv2d(back["back6"], 1, kernel_size=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the front by He's rule, the rest with standard deviation 0.01 as in the original.

        The original always has a front pretrained on ImageNet. With 0.01 in a front without norm layers, the signal
        would vanish.
        """
        for name, module in self.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            if name.startswith("front."):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            else:
                nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE))
        density = self.output(self.back(self.front(images)))
        return ACTIVATIONS[self.activation](density)

    def extra_repr(self) -> str:
        return f"output={self.activation!r}"


def _block(norm: NormFactory | None, conv: ConvFactory, width_in: int, width: int, dilation: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = conv(width_in, width, kernel_size=3, padding=dilation, dilation=dilation, bias=norm is None)
    if norm is not None:
        layers["norm"] = norm(width)
    layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _scaled(widths: Mapping[str, int], factor: float) -> dict[str, int]:
    return {name: max(1, round(width * factor)) for name, width in widths.items()}


def _front(block: Callable[[int, int, int], nn.Module], widths: Mapping[str, int]) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width_in, stage = 3, "1"
    for name, width in widths.items():
        if name[4] != stage:
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
            stage = name[4]
        layers[name] = block(width_in, width, 1)
        width_in = width
    return layers


def _back(
    block: Callable[[int, int, int], nn.Module], width_in: int, widths: Mapping[str, int]
) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, width in widths.items():
        layers[name] = block(width_in, width, DILATION)
        width_in = width
    return layers


def named_as_csrnet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of torchvision's VGG16 or VGG16-BN that CSRNet's front has, under its names there."""
    with_norms = "features.1.weight" in state
    parts = {f"features.{index}": f"front.{name}.conv" for name, index in (VGG16_BN if with_norms else VGG16).items()}
    if with_norms:
        parts |= {f"features.{index + 1}": f"front.{name}.norm" for name, index in VGG16_BN.items()}
    split = [(*name.rpartition("."), value) for name, value in state.items()]
    return {f"{parts[part]}.{entry}": value for part, _, entry, value in split if part in parts}
