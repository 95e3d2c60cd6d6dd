"""The parts of the small nets that the core is tried on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, weight_norm

WIDTH = 6


class Net(nn.Module):
    """Named parts, and how they are put together."""

    def __init__(self, flow: Callable[[Net, Tensor], Any], **parts: nn.Module | Callable) -> None:
        super().__init__()
        self.flow = flow
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.flow(self, x)


class FrozenNorms(Net):
    """Its norm layers stay in eval mode, as in a detector's backbone."""

    def train(self, mode: bool = True) -> FrozenNorms:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


class Dilated(nn.Module):
    """One weight convolved at several dilations, as TridentNet does; it has no groups."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, (3, 3)
        self.weight = nn.Parameter(0.2 * torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> list[Tensor]:
        return [nn.functional.conv2d(x, self.weight, self.bias, padding=d, dilation=d) for d in (1, 2)]


def conv(inputs: int = 3, outputs: int = WIDTH, bias: bool = False, **kwargs: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias, **kwargs)


def bn(channels: int = WIDTH, **kwargs: Any) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, **kwargs)


def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def see_images(model: nn.Module) -> Any:
    return model(images())


def shuffle(y: Tensor, groups: int) -> Tensor:
    n, c, *size = y.shape
    return y.view(n, groups, c // groups, *size).transpose(1, 2).reshape(n, c, *size)


def changed_in_part(y: Tensor) -> Tensor:
    y[:, :2] += 1
    return y.relu()


def see_with_autocast(model: nn.Module) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return model(images())


def auxiliary() -> nn.Module:
    net = Net(run_auxiliary, conv=conv(), bn=bn(), head_conv=conv(WIDTH), head_bn=bn(), head=nn.Linear(WIDTH, 2))
    net.aux_conv, net.aux_bn, net.aux = conv(WIDTH), bn(), nn.Linear(WIDTH, 2)
    return net


def run_auxiliary(n: Net, x: Tensor) -> Any:
    y = n.bn(n.conv(x)).relu()
    result = n.head(n.head_bn(n.head_conv(y)).mean((2, 3)))
    return (result, n.aux(n.aux_bn(n.aux_conv(y)).mean((2, 3)))) if n.training else result


def pre_activation() -> nn.Module:
    net = Net(run_pre_activation, stem=conv(3), bn1=bn(), conv1=conv(WIDTH), bn2=bn(), conv2=conv(WIDTH))
    net.bn3, net.conv3, net.bn4, net.conv4, net.last = bn(), conv(WIDTH), bn(), conv(WIDTH), bn()
    return net


def run_pre_activation(n: Net, x: Tensor) -> Tensor:
    x = n.stem(x)
    for norm1, conv1, norm2, conv2 in ((n.bn1, n.conv1, n.bn2, n.conv2), (n.bn3, n.conv3, n.bn4, n.conv4)):
        x = x + conv2(norm2(conv1(norm1(x).relu())).relu())
    return n.last(x).relu()


def dense() -> nn.Module:
    net = Net(run_dense, stem=conv(3), bn1=bn(), conv1=conv(WIDTH), bn2=bn(2 * WIDTH))
    net.conv2, net.bn3 = conv(2 * WIDTH), bn(3 * WIDTH)
    return net


def run_dense(n: Net, x: Tensor) -> Tensor:
    first = n.stem(x)
    second = n.conv1(n.bn1(first).relu())
    third = n.conv2(n.bn2(torch.cat([first, second], 1)).relu())
    return n.bn3(torch.cat([first, second, third], 1)).relu()


def halves(n: Net, x: Tensor) -> Tensor:
    left, right = n.conv(x).chunk(2, dim=1)
    return n.bn_left(left) + n.bn_right(right)


def tied() -> nn.Module:
    net = Net(lambda n, x: n.bn1(n.conv1(x)) + n.bn2(n.conv2(x)), conv1=conv(), bn1=bn(), conv2=conv(), bn2=bn())
    net.conv2.weight = net.conv1.weight
    return net


class Double(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def conv_bn(layer: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Net(lambda n, x: n.bn(n.conv(x)), conv=layer(conv()), bn=bn())


def with_old_weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says there is a newer one
        return weight_norm(layer)


def doubled(layer: nn.Module) -> nn.Module:
    parametrize.register_parametrization(layer, "weight", Double())
    return layer


def behind_conv(norm: Callable[[], nn.Module], bias: bool = False) -> Callable[[], nn.Module]:
    return lambda: Net(lambda n, x: n.norm(n.conv(x)), conv=conv(bias=bias), norm=norm())


def between(step: Callable[[Tensor], Tensor], bias: bool = False) -> Callable[[], nn.Module]:
    """A conv and a norm layer with something between them."""
    return lambda: Net(lambda n, x: n.bn(step(n.conv(x))), conv=conv(bias=bias), bn=bn())


def read_also(more: Callable[[Tensor, Tensor], Any]) -> Callable[[], nn.Module]:
    """A conv whose output is read by its norm layer and by something else."""

    def flow(n: Net, x: Tensor) -> Any:
        y = n.conv(x)
        return more(y, n.bn(y))

    return lambda: Net(flow, conv=conv(), bn=bn())


def read_by_one_norm(other: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], nn.Module]:
    """A conv whose norm layer is called once more, for another input."""

    def flow(n: Net, x: Tensor) -> Tensor:
        y = n.conv(x)
        return n.bn(y) + n.bn(other(y, x))

    return lambda: Net(flow, conv=conv(), bn=bn())
