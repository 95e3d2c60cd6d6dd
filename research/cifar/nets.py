"""The nets of the CIFAR-10 comparisons: the CIFAR ResNets of He et al. (2016), and a plain CNN as small as wanted."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from normreg_plugins.hosts.mmengine.cifar_resnet import NormRegCifarResNet
from research.nets import CLASSES, TextbookWS, conv_weights, plain_cnn


class CifarResNet(NormRegCifarResNet):
    """6n + 2 layers with 16, 32 and 64 channels, and a classifier. Its names are those of the public checkpoints."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.linear = nn.Linear(64, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # logits, where the backbone has feature maps
        return self.linear(super().forward(x)[0].mean((2, 3)))


def cnn(width: int, conv: Callable[..., nn.Conv2d] = nn.Conv2d) -> nn.Sequential:
    """The CNN of the constrained paper (section 4.1.1), narrower: three stages of two convolutions each."""
    net = plain_cnn((width, width, 2 * width, 2 * width, 4 * width, 4 * width), 3, conv, nn.AvgPool2d)
    for weight in conv_weights(net):
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    return net


NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": lambda: CifarResNet(20),
    "resnet56": lambda: CifarResNet(56),
    "cnn3": lambda: plain_cnn((16, 32, 64), 3, nn.Conv2d, nn.MaxPool2d),  # for digits
    "cnn8": lambda: cnn(8),
    "cnn8_eq25": lambda: cnn(8, conv=TextbookWS),  # weight standardization that nothing guards
}
