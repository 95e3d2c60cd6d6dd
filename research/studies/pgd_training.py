"""One training with constrained weights, with parts of the method left out, or with batch norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normreg_plugins import SphereDescent, attach
from normreg_plugins.layers import ScaleBias
from research.digits import accuracy, digits
from research.studies.common import batches, parameters_besides

DECAY = 1e-3


@dataclass(frozen=True)
class Setting:
    """Without batch norm, a scale-bias layer stands behind each convolution."""

    batch_norm: bool = False
    centre: bool = False
    sphere: bool = False
    sigma: float = 0.0


Norm = Callable[[int], nn.Module]


def cnn(norm: Norm) -> nn.Sequential:
    """The plain CNN of the constrained paper (section 4.1.1), smaller: three stages of two convolutions."""
    layers: list[nn.Module] = []
    channels = 1
    for filters in (8, 16, 32):
        layers += [nn.AvgPool2d(2)] if layers else []
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), norm(filters), nn.ReLU()]
            channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def mlp(norm: Norm) -> nn.Sequential:
    """Three fully connected layers of 64, where batch norm sees one value of each image; in a CNN it sees a map."""
    hidden: list[nn.Module] = []
    for _ in range(3):
        hidden += [nn.Linear(64, 64, bias=False), norm(64), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))


NETS: dict[str, tuple[Callable[[Norm], nn.Sequential], Norm]] = {
    "CNN": (cnn, nn.BatchNorm2d),
    "MLP": (mlp, nn.BatchNorm1d),
}


def train(net: str, setting: Setting, rate: float, batch: int, updates: int, seed: int) -> float:
    """The test accuracy in %. As in the paper: He's initial weights, SGD with momentum, a cosine schedule."""
    torch.manual_seed(seed)
    build, batch_norm = NETS[net]
    model = build(batch_norm if setting.batch_norm else lambda channels: ScaleBias(channels, setting.sigma))
    weights: list[Tensor] = [m.weight for m in model.children() if isinstance(m, nn.Conv2d | nn.Linear)][:-1]
    for weight in weights:
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    groups = [
        {"params": weights, "weight_decay": DECAY},
        {"params": parameters_besides(model, weights), "weight_decay": DECAY if setting.batch_norm else 0.0},
    ]
    optimizer = torch.optim.SGD(groups, rate, momentum=0.9)
    if setting.sphere:
        attach(optimizer, model, SphereDescent(center=setting.centre))
    elif setting.centre:
        centre_alone(optimizer, weights)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for images, labels in batches(seed, batch, updates):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    _, _, test_images, test_labels = digits(seed)
    return accuracy(model.eval(), test_images, test_labels)


@torch.no_grad()
def centre_alone(optimizer: torch.optim.Optimizer, weights: Sequence[Tensor]) -> None:
    """The centralization constraint without the sphere. None of our methods does this; the ablation needs it."""
    for weight in weights:
        weight.sub_(_filter_means(weight))

    def centre_gradients(*_: object) -> None:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.sub_(_filter_means(weight.grad))

    optimizer.register_step_pre_hook(centre_gradients)


def _filter_means(weight: Tensor) -> Tensor:
    return weight.mean(tuple(range(1, weight.ndim)), keepdim=True)
