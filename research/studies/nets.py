"""The nets of the experiments: two convolutions on digits of 8 x 8."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from normreg_plugins.layers import WSConv2d


class TextbookWS(nn.Conv2d):
    """A weight-standardized convolution exactly as in eq. 25 of the AWS paper: nothing guards the division."""

    normalizes_weight = "std"

    def forward(self, x: Tensor) -> Tensor:
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        std = (centred.square().sum((1, 2, 3), keepdim=True) / self.weight[0].numel()).sqrt()
        return self._conv_forward(x, centred / std, self.bias)


def ws_net(conv: Callable[..., nn.Conv2d] = WSConv2d) -> nn.Sequential:
    """Two weight-standardized convolutions, each with its batch norm, and a classifier."""

    def block(channels: int, filters: int) -> list[nn.Module]:
        return [conv(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]

    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*block(1, 8), nn.MaxPool2d(2), *block(8, 16), *pool, nn.Linear(16, 10))


def conv_weights(model: nn.Module) -> list[Tensor]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]
