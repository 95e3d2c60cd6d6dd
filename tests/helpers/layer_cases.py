"""The layer kinds that the tests of `layers` go through, and slow references for them."""

import math

import torch
from torch import Tensor, nn

LAYERS = {
    "conv1d": lambda **kw: nn.Conv1d(4, 6, 3, stride=2, **kw),
    "conv2d": lambda **kw: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", **kw),
    "conv3d": lambda **kw: nn.Conv3d(4, 6, (1, 2, 3), dilation=2, **kw),
    "pointwise": lambda **kw: nn.Conv2d(4, 6, 1, **kw),
    "grouped": lambda **kw: nn.Conv2d(4, 6, 3, groups=2, **kw),
    "depthwise": lambda **kw: nn.Conv2d(4, 8, 3, groups=4, **kw),
    "transposed1d": lambda **kw: nn.ConvTranspose1d(4, 6, 3, stride=2, **kw),
    "transposed2d": lambda **kw: nn.ConvTranspose2d(4, 6, 3, output_padding=1, stride=2, **kw),
    "transposed3d": lambda **kw: nn.ConvTranspose3d(4, 6, (1, 2, 3), **kw),
    "transposed grouped": lambda **kw: nn.ConvTranspose2d(4, 6, 3, groups=2, **kw),
    "linear": lambda **kw: nn.Linear(4, 6, **kw),
}


def make_layer(kind: str, **kwargs) -> nn.Module:
    """A layer whose filters differ in norm and in mean."""
    layer = LAYERS[kind](**kwargs)
    with torch.no_grad():
        for filter_of_channel in filters(layer, layer.weight):
            size = torch.rand(()) * 3 + 0.2
            filter_of_channel.copy_(size * (torch.randn(filter_of_channel.shape) + torch.randn(())))
    return layer


def make_input(layer: nn.Module, samples: int = 3, **kwargs) -> Tensor:
    if isinstance(layer, nn.Linear):
        return torch.randn(samples, layer.in_features, **kwargs)
    return torch.randn(samples, layer.in_channels, *[9] * (layer.weight.ndim - 2), **kwargs)


def batch_norm_for(layer: nn.Module) -> nn.Module:
    rank = 1 if isinstance(layer, nn.Linear) else layer.weight.ndim - 2
    channels = getattr(layer, "out_channels", None) or layer.out_features
    return (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[rank - 1](channels)


def fill_norms_(model: nn.Module, smallest_variance: float = 0.1) -> nn.Module:
    """Give every norm layer the values of a trained one: variances over decades, gammas of both signs."""
    for norm in model.modules():
        if getattr(norm, "running_var", None) is not None:
            spread = torch.rand_like(norm.running_var)
            norm.running_var.copy_(smallest_variance ** (2 * spread - 1))
            norm.running_mean.copy_(torch.randn_like(spread))
        if isinstance(norm, nn.modules.batchnorm._BatchNorm | nn.GroupNorm) and norm.affine:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return model


def filters(layer: nn.Module, weight: Tensor) -> list[Tensor]:
    """The weights that make each output channel, channel by channel, as views."""
    if not getattr(layer, "transposed", False):
        return list(weight)
    per_group_in = layer.in_channels // layer.groups
    per_group_out = layer.out_channels // layer.groups
    return [
        weight[group * per_group_in : (group + 1) * per_group_in, out]
        for group in range(layer.groups)
        for out in range(per_group_out)
    ]


def normalized_oracle(layer: nn.Module, weight: Tensor, normalization: str) -> Tensor:
    """AWS paper, eq. 23-25, and Hoffer's fixed matrix norm, one filter after another."""
    result = weight.detach().clone().double()
    views = filters(layer, result)
    if normalization == "bwn":
        total = math.sqrt(sum(float((w**2).sum()) for w in views))
        return result * math.sqrt(len(views)) / total
    for w in views:
        if normalization in ("cwn", "ws"):
            w -= w.sum() / w.numel()
        length = math.sqrt(float((w**2).sum()))
        w /= length / math.sqrt(w.numel()) if normalization == "ws" else length
    return result
