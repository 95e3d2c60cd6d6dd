"""The plain CNNs of the papers: convolutions with a norm layer each, in stages with a pooling between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from normreg_plugins.hosts.mmengine.cifar_resnet import INIT, Config

POOLS = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}


@MODELS.register_module()
class NormRegPlainCNN(BaseModule):
    """3x3 convolutions, norm layers and ReLUs; a pooling of stride 2 wherever the number of filters changes.

    Args:
        filters: of each convolution. The nine-layer CNN of the constrained paper (section 4.1.1) has three of 64, three
            of 128 and three of 256.
        pool: 'avg' or 'max'.
        conv_cfg, norm_cfg: convolutions and norm layers, by mm's names.
    """

    def __init__(
        self,
        filters: Sequence[int],
        channels: int = 3,
        pool: str = "avg",
        conv_cfg: Config | None = None,
        norm_cfg: Config | None = None,
        init_cfg: Any = INIT,
    ) -> None:
        from mmcv.cnn import build_conv_layer, build_norm_layer  # this module can be imported without mmcv

        super().__init__(init_cfg)
        self.layers = nn.Sequential()
        for number, count in enumerate(filters, start=1):
            if number > 1 and count != channels:
                self.layers.add_module(f"pool{number}", POOLS[pool](2))
            conv = build_conv_layer(conv_cfg, channels, count, 3, padding=1, bias=False)
            norm = build_norm_layer(norm_cfg or {"type": "BN"}, count)[1]
            for name, layer in (("conv", conv), ("bn", norm), ("relu", nn.ReLU())):
                self.layers.add_module(f"{name}{number}", layer)
            channels = count

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.layers(x),)
