"""The nets of the CIFAR-10 comparisons: the CIFAR ResNets of He et al. (2016), and a plain CNN as small as wanted."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from research.nets import CLASSES, TextbookWS, conv_weights, plain_cnn


class Block(nn.Module):
    """Two convolutions beside a shortcut without weights (option A): it takes every second pixel and adds zeros."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride = stride
        self.added = filters - channels

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = pad(shortcut, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))) + shortcut)


class CifarResNet(nn.Module):
    """6n + 2 layers with 16, 32 and 64 channels. The names of its weights are those of the public checkpoints."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth={depth}: a CIFAR ResNet has 6n + 2 layers, such as 20, 56 or 110")
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def _stage(channels: int, filters: int, blocks: int, stride: int) -> nn.Sequential:
        first = Block(channels, filters, stride)
        return nn.Sequential(first, *(Block(filters, filters, 1) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


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
