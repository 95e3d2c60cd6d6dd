"""torchvision's nets and layers. `make check` has torch only: there a test that builds one of them skips."""

from collections.abc import Callable

import pytest
from torch import nn


def from_torchvision(room: str, name: str) -> Callable[..., nn.Module]:
    def make(*args, **options) -> nn.Module:
        return getattr(pytest.importorskip(f"torchvision.{room}"), name)(*args, **options)

    return make


DenseNet = from_torchvision("models", "DenseNet")
densenet121 = from_torchvision("models", "densenet121")
mobilenet_v2 = from_torchvision("models", "mobilenet_v2")
resnet18 = from_torchvision("models", "resnet18")
shufflenet_v2_x0_5 = from_torchvision("models", "shufflenet_v2_x0_5")
vgg_layers = from_torchvision("models.vgg", "make_layers")
FrozenBatchNorm2d = from_torchvision("ops", "FrozenBatchNorm2d")


def resnet10() -> nn.Module:
    """ResNet-18 with every second block: 12 convolutions, three of them in shortcuts."""
    resnet = pytest.importorskip("torchvision.models.resnet")
    return resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1])
