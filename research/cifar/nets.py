"""The nets of the comparisons: the CIFAR ResNets of He et al. (2016), plain CNNs as small as wanted, an MLP, DGCNN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

from torch import Tensor, nn

from normreg_plugins.hosts.mmengine.cifar_resnet import NormRegCifarResNet
from normreg_plugins.layers import MeanOnlyBatchNorm
from research.cifar.clouds import SOLIDS
from research.cifar.dgcnn import DGCNN
from research.nets import CLASSES, Norm, conv_weights, plain_cnn

GROUPS = 16


def group_norm(channels: int) -> nn.Module:
    """The constrained paper's 16 groups, and half as many as there are channels in nets that are narrower than its."""
    return nn.GroupNorm(min(GROUPS, channels // 2), channels)


NORMS: dict[str, Norm] = {
    "batch": nn.BatchNorm2d,
    "group": group_norm,
    "mean_only": MeanOnlyBatchNorm,
    "none": nn.Identity,
}


class CifarResNet(NormRegCifarResNet):
    """6n + 2 layers with 16, 32 and 64 channels, and a classifier. Its names are those of the public checkpoints."""

    def __init__(self, depth: int, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__(depth)
        for parent in [*self.modules()]:
            for name, module in [*parent.named_children()]:
                if isinstance(module, nn.BatchNorm2d):
                    setattr(parent, name, norm(module.num_features))
        self.linear = nn.Linear(64, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # logits, where the backbone has feature maps
        return self.linear(super().forward(x)[0].mean((2, 3)))


def cnn(width: int, depth: int = 3, norm: Norm = nn.BatchNorm2d) -> nn.Sequential:
    """Three stages of `depth` convolutions each: the CNN of the constrained paper (section 4.1.1), of any width.

    The paper's has depth 3 and width 64.
    """
    filters = chain.from_iterable([width * 2**stage] * depth for stage in range(3))
    net = plain_cnn([*filters], 3, nn.Conv2d, nn.AvgPool2d, norm)
    for weight in conv_weights(net):
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    return net


def resnet(width: int, depth: int, norm: Norm) -> CifarResNet:
    if width != 8:
        raise ValueError(f"width={width}: only the CNNs have a width")
    return CifarResNet(depth, norm)


def cnn4(width: int, norm: Norm) -> nn.Sequential:
    """Four convolutions, as in the L2 paper (section 6), which gives no widths."""
    return plain_cnn((width, width, 2 * width, 2 * width), 3, nn.Conv2d, nn.MaxPool2d, norm)


def cnn3(width: int, norm: Norm) -> nn.Sequential:
    """For digits."""
    return plain_cnn((2 * width, 4 * width, 8 * width), 3, nn.Conv2d, nn.MaxPool2d, norm)


def mlp(width: int, norm: Norm) -> nn.Sequential:
    """Three hidden layers on pictures of 8 x 8 pixels: linear layers, written as 1 x 1 convolutions."""
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(8), nn.PixelUnshuffle(8)]
    for channels, count in ((3 * 64, 16 * width), (16 * width, 16 * width), (16 * width, 16 * width)):
        layers += [nn.Conv2d(channels, count, 1, bias=False), norm(count), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * width, CLASSES))


NETS: dict[str, Callable[..., Any]] = {
    "resnet20": partial(resnet, depth=20),
    "resnet56": partial(resnet, depth=56),
    "cnn3": cnn3,
    "cnn4": cnn4,
    "cnn8": partial(cnn, depth=2),
    "cnn9": cnn,
    "mlp": mlp,
    "dgcnn": partial(DGCNN, classes=40, neighbours=20),
    "dgcnn_small": partial(DGCNN, classes=len(SOLIDS), neighbours=8),
}
"""Built from `width` and `norm`."""
