"""CSRNet (Li, Zhang & Chen, CVPR 2018), configuration B: a VGG16 front, a dilated back, stride 8."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 8
FRONT = {  # VGG16's convolutions by name, and their width; a new number before the _ means a pool
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

ConvFactory = Callable[..., nn.Module]
NormFactory = Callable[[int], nn.Module]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs,
    "relu": F.relu,
    "free": lambda density: density,
}


class CSRNet(nn.Module):
    """Image [B, 3, H, W] to density map [B, 1, ceil(H / 8), ceil(W / 8)], whose sum is the count.

    Any size will do: the image is padded at its right and bottom to whole cells. A cell that the
    image reaches only in part counts as a whole, for no person stands in the padding.

    Args:
        norm: makes the norm of each of the sixteen 3x3 convolutions from its width; None is the
            original net without norms. The 1x1 output never has one.
        conv: makes these convolutions, with the arguments of `nn.Conv2d`. They have a bias only
            where no norm follows.
        output: 'abs', 'relu' or 'free'. The original is free: it may predict negative people, who
            cancel others in the count.
    """

    def __init__(
        self,
        norm: NormFactory | None = nn.BatchNorm2d,
        conv: ConvFactory = nn.Conv2d,
        output: str = "abs",
    ) -> None:
        super().__init__()
        if output not in ACTIVATIONS:
            raise ValueError(f"output {output!r} is none of {list(ACTIVATIONS)}")
        self.activation = output
        block = partial(_block, norm, conv)
        self.front = nn.Sequential(_front(block))
        self.back = nn.Sequential(_back(block))
        self.output = nn.Conv2d(BACK["back6"], 1, kernel_size=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal of deviation 0.01, as in the original, but He's in the front.

        The original front is never random: it comes from ImageNet. Without norms and with 0.01
        its signal would vanish.
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


def receptive_radius() -> int:
    """How many pixels beyond its own 8 a cell can see, rounded up to whole cells."""
    radius = sum(2 ** (int(name[4]) - 1) for name in FRONT)  # a pool before each new number
    radius += STRIDE * DILATION * len(BACK)
    return -(-radius // STRIDE) * STRIDE


def _block(norm: NormFactory | None, conv: ConvFactory, width_in: int, width: int, dilation: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = conv(width_in, width, kernel_size=3, padding=dilation, dilation=dilation, bias=norm is None)
    if norm is not None:
        layers["norm"] = norm(width)
    layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _front(block: Callable[[int, int, int], nn.Module]) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width_in, stage = 3, "1"
    for name, width in FRONT.items():
        if name[4] != stage:
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
            stage = name[4]
        layers[name] = block(width_in, width, 1)
        width_in = width
    return layers


def _back(block: Callable[[int, int, int], nn.Module]) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width_in = FRONT["conv4_3"]
    for name, width in BACK.items():
        layers[name] = block(width_in, width, DILATION)
        width_in = width
    return layers
