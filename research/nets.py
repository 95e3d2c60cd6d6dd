"""Parts of nets and optimizers that the studies and the CIFAR comparisons share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 10
Norm = Callable[[int], nn.Module]
"""Builds a norm layer for so many channels."""


def plain_cnn(
    filters: Sequence[int],
    channels: int,
    conv: Callable[..., nn.Conv2d],
    pool: Callable[[int], nn.Module],
    norm: Norm = nn.BatchNorm2d,
) -> nn.Sequential:
    """Convolutions with a norm layer each, a pooling wherever the number of filters changes, and a classifier."""
    layers: list[nn.Module] = []
    for count in filters:
        layers += [pool(2)] if layers and count != channels else []
        layers += [conv(channels, count, 3, padding=1, bias=False), norm(count), nn.ReLU()]
        channels = count
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


def digits_net(filters: Sequence[int] = (8, 16), conv: Callable[..., nn.Conv2d] = nn.Conv2d) -> nn.Sequential:
    return plain_cnn(filters, 1, conv, nn.MaxPool2d)


def conv_weights(model: nn.Module) -> list[Tensor]:
    """The filters that the methods act on: in all nets here, a norm layer follows each convolution."""
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d)]


def filter_norms(weights: Sequence[Tensor]) -> Tensor:
    return torch.cat([weight.detach().flatten(1).norm(dim=1) for weight in weights])


def two_groups(
    model: nn.Module, weights: Sequence[Tensor], settings: Mapping[str, Any], of_others: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Parameter groups: these weights with their settings, and all other parameters with theirs."""
    taken = {id(weight) for weight in weights}
    others = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return [{"params": list(weights), **settings}, {"params": others, **of_others}]
