"""The residual nets for images of 32 px that mmpretrain lacks: ResNet-110 (He et al. 2016) and WideResNet-28-10.

mmpretrain has the ResNet-18 of 64 to 512 channels as `ResNet_CIFAR`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from normreg_plugins.core.errors import NormRegError

Build = Callable[..., nn.Module]
Config = dict[str, Any]
INIT: list[Config] = [
    {"type": "Kaiming", "layer": ["Conv2d"]},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
]


class Shorten(nn.Module):
    """A shortcut without weights: every second pixel, padded with channels of zeros on both sides (option A)."""

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self._added, self._stride = added, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[..., :: self._stride, :: self._stride], (0, 0, 0, 0, self._added // 2, -(-self._added // 2)))


class PlainBlock(nn.Module):
    """Two convolutions, each with its norm layer, and a shortcut that is added before the last ReLU."""

    def __init__(self, channels: int, filters: int, stride: int, projection: bool, conv: Build, norm: Build) -> None:
        super().__init__()
        self.conv1 = conv(channels, filters, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(filters)
        self.conv2 = conv(filters, filters, 3, padding=1, bias=False)
        self.bn2 = norm(filters)
        self.shortcut: nn.Module = nn.Identity()
        if channels != filters and projection:
            self.shortcut = nn.Sequential(conv(channels, filters, 1, stride=stride, bias=False), norm(filters))
        elif channels != filters:
            self.shortcut = Shorten(filters - channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class PreactivatedBlock(nn.Module):
    """Norm layer and ReLU come before each convolution, so no norm layer follows the second one (WideResNet)."""

    def __init__(self, channels: int, filters: int, stride: int, projection: bool, conv: Build, norm: Build) -> None:
        super().__init__()
        self.bn1 = norm(channels)
        self.conv1 = conv(channels, filters, 3, stride=stride, padding=1, bias=False)
        self.bn2 = norm(filters)
        self.conv2 = conv(filters, filters, 3, padding=1, bias=False)
        self.shortcut = conv(channels, filters, 1, stride=stride, bias=False) if channels != filters else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return y + (x if self.shortcut is None else self.shortcut(active))


BLOCKS: dict[str, type[nn.Module]] = {"plain": PlainBlock, "preactivated": PreactivatedBlock}


@MODELS.register_module()
class NormRegCifarResNet(BaseModule):
    """Three stages of equally many blocks at 16, 32 and 64 channels, times `width`. It returns the last feature map.

    ResNet-110 is `depth=110`; WideResNet-28-10 is `depth=28, width=10`.

    Args:
        depth: layers with weights: two for each block and two more. The 1x1 convolutions of shortcuts count only in
            WideResNet, where depth is 6 n + 4 for n blocks in a stage; without them it is 6 n + 2.
        width: the factor k of a WideResNet. With 1 the shortcuts have no weights, otherwise they are projections.
        block: 'plain', in which a norm layer follows every convolution; 'preactivated', as WideResNet was published.
        conv_cfg, norm_cfg: convolutions and norm layers, by mm's names.
    """

    def __init__(
        self,
        depth: int,
        width: int = 1,
        block: str = "plain",
        conv_cfg: Config | None = None,
        norm_cfg: Config | None = None,
        init_cfg: Any = INIT,
    ) -> None:
        from mmcv.cnn import build_conv_layer, build_norm_layer  # this module can be imported without mmcv

        super().__init__(init_cfg)
        projection = width > 1
        if (depth - (4 if projection else 2)) % 6:
            raise NormRegError(f"depth={depth}: must be {'6 n + 4' if projection else '6 n + 2'} with width={width}")
        conv = partial(build_conv_layer, conv_cfg)

        def norm(filters: int) -> nn.Module:
            return build_norm_layer(norm_cfg or {"type": "BN"}, filters)[1]

        self.preactivated = block == "preactivated"
        self.conv1 = conv(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.Identity() if self.preactivated else norm(16)
        channels = 16
        for stage, stride in enumerate((1, 2, 2)):
            filters = 16 * width * 2**stage
            blocks = []
            for place in range((depth - 2) // 6):
                blocks.append(BLOCKS[block](channels, filters, 1 if place else stride, projection, conv, norm))
                channels = filters
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.last_bn = norm(channels) if self.preactivated else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor]:
        x = self.bn1(self.conv1(x))
        x = x if self.preactivated else F.relu(x)
        for stage in ("layer1", "layer2", "layer3"):
            x = self.get_submodule(stage)(x)
        return (F.relu(self.last_bn(x)) if self.preactivated else x,)
