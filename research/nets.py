"""Parts of nets and optimizers that the studies and the CIFAR comparisons share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 10


class TextbookWS(nn.Conv2d):
    """A weight-standardized convolution exactly as in eq. 25 of the AWS paper: nothing guards the division."""

    normalizes_weight = "std"

    def forward(self, x: Tensor) -> Tensor:
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        std = (centred.square().sum((1, 2, 3), keepdim=True) / self.weight[0].numel()).sqrt()
        return self._conv_forward(x, centred / std, self.bias)


def plain_cnn(
    filters: Sequence[int], channels: int, conv: Callable[..., nn.Conv2d], pool: Callable[[int], nn.Module]
) -> nn.Sequential:
    """Convolutions with a batch norm each, a pooling wherever the number of filters changes, and a classifier."""
    layers: list[nn.Module] = []
    for count in filters:
        layers += [pool(2)] if layers and count != channels else []
        layers += [conv(channels, count, 3, padding=1, bias=False), nn.BatchNorm2d(count), nn.ReLU()]
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


@torch.no_grad()
def centre_alone(optimizer: torch.optim.Optimizer, weights: Sequence[Tensor]) -> None:
    """The zero-mean constraint of PGD without the sphere. Only an ablation needs it, so it is no method."""

    def centre_gradients(*_: object) -> None:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.sub_(_filter_means(weight.grad))

    for weight in weights:
        weight.sub_(_filter_means(weight))
    optimizer.register_step_pre_hook(centre_gradients)


def _filter_means(weight: Tensor) -> Tensor:
    return weight.mean(tuple(range(1, weight.ndim)), keepdim=True)
