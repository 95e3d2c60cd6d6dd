"""Small nets, each with one trait that decides whether a weight's scale can be seen, and the verdict it must get."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, spectral_norm
from torch.utils.checkpoint import checkpoint

from helpers.nets import (
    WIDTH,
    Dilated,
    FrozenNorms,
    Net,
    auxiliary,
    behind_conv,
    between,
    bn,
    changed_in_part,
    conv,
    conv_bn,
    dense,
    doubled,
    halves,
    pre_activation,
    read_also,
    read_by_one_norm,
    see_images,
    see_with_autocast,
    shuffle,
    tied,
    with_old_weight_norm,
)
from helpers.vision import FrozenBatchNorm2d


@dataclass(frozen=True)
class Case:
    """A net, and the verdict that each of its weights must get: the kind, then the norm layers that read it."""

    make: Callable[[], nn.Module]
    expected: dict[str, tuple[str, ...]]
    numbers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Where numbers say something else, for the reason in the comment beside."""
    forward: Callable[[nn.Module], Any] = see_images


@dataclass
class Returned:
    features: Tensor
    out: Tensor


ONE = {"conv.weight": ("invariant", "bn")}
FREE = {"conv.weight": ("free",)}
UNSAFE = {"conv.weight": ("unsafe", "bn")}
ANY = "any norms"
PLACES = 64
"""Of the output of `conv()`."""
SPOILED = ("unsafe", ANY)

CASES: dict[str, Case] = {
    "conv and norm": Case(between(lambda y: y), ONE),
    "conv with bias and norm": Case(between(lambda y: y, bias=True), ONE),
    "sync batch norm": Case(behind_conv(lambda: nn.SyncBatchNorm(WIDTH)), {"conv.weight": ("invariant", "norm")}),
    "norm without statistics": Case(
        behind_conv(lambda: bn(track_running_stats=False)), {"conv.weight": ("invariant", "norm")}
    ),
    "auxiliary head on the training path only": Case(
        auxiliary,
        {
            "conv.weight": ("invariant", "bn"),
            "head_conv.weight": ("invariant", "head_bn"),
            "head.weight": ("free",),
            "aux_conv.weight": ("invariant", "aux_bn"),
            "aux.weight": ("free",),
        },
    ),
    "shared conv, one norm": Case(
        lambda: Net(lambda n, x: [n.bn(n.conv(x)), n.bn(n.conv(x[..., ::2, ::2]))], conv=conv(), bn=bn()), ONE
    ),
    "shared conv, a norm per level": Case(
        lambda: Net(lambda n, x: [n.bn1(n.conv(x)), n.bn2(n.conv(x[..., ::2, ::2]))], conv=conv(), bn1=bn(), bn2=bn()),
        {"conv.weight": ("invariant", "bn1", "bn2")},
    ),
    "shared conv, one level without a norm": Case(
        lambda: Net(lambda n, x: [n.bn(n.conv(x)), n.conv(x[..., ::2, ::2])], conv=conv(), bn=bn()), UNSAFE
    ),
    "output also added to something": Case(read_also(lambda y, z: z + y.mean()), UNSAFE),
    "output also returned": Case(read_also(lambda y, z: {"out": z, "features": [y]}), UNSAFE),
    "output also returned in a dataclass": Case(read_also(Returned), UNSAFE),
    "output also returned in a dict of another class": Case(read_also(lambda y, z: UserDict(out=z, y=y)), UNSAFE),
    "output also penalized": Case(read_also(lambda y, z: (z, 0.1 * y.square().mean())), UNSAFE),
    "output also read as a Python number": Case(read_also(lambda y, z: z * (2 + y.mean().item())), UNSAFE),
    "output also changed in place": Case(between(lambda y: y.add_(1).relu()), FREE),
    "a part of the output changed in place": Case(between(changed_in_part), UNSAFE),
    "ReLU between": Case(between(F.relu), ONE),
    "ReLU in place between": Case(between(F.relu_), ONE),
    "leaky ReLU between": Case(between(lambda y: F.leaky_relu(y, 0.2)), ONE),
    "dropout between": Case(between(lambda y: F.dropout(y, 0.3)), ONE),
    "max pooling between": Case(between(lambda y: F.max_pool2d(y, 2)), ONE),
    "average pooling between": Case(between(lambda y: F.avg_pool2d(y, 2)), ONE),
    "upsampling between": Case(between(lambda y: F.interpolate(y, scale_factor=2)), ONE),
    "a constant factor between": Case(between(lambda y: -0.5 * y), ONE),
    "a gate of another source between": Case(
        lambda: Net(
            lambda n, x: n.bn(n.conv(x) * n.gate(x).sigmoid()), conv=conv(), gate=nn.Conv2d(3, WIDTH, 1), bn=bn()
        ),
        {"conv.weight": ("invariant", "bn"), "gate.weight": ("free",)},
    ),
    "padding with ones between": Case(between(lambda y: F.pad(y, (1, 1, 1, 1), value=1.0)), FREE),
    "padding between": Case(between(lambda y: F.pad(y, (1, 1, 1, 1))), ONE),
    # The bias does not scale with the filter, so a ReLU mixes the two; scaled together they pass through it.
    "ReLU between, with bias": Case(between(F.relu, bias=True), FREE, {"conv.weight": ("per_layer",)}),
    "SiLU between": Case(between(F.silu), FREE),
    "its own gate between": Case(between(lambda y: y * y.sigmoid()), UNSAFE),
    # The norm takes the square of the scale away. No method repairs statistics of squares, so it is left alone.
    "its square between": Case(between(lambda y: y * y), FREE, {"conv.weight": ("invariant",)}),
    "a constant added between": Case(between(lambda y: (y + 1).relu()), FREE),
    "residual sum before the norm": Case(
        lambda: Net(lambda n, x: n.bn(n.conv1(x) + n.conv2(x)), conv1=conv(), conv2=conv(), bn=bn()),
        {"conv1.weight": ("free",), "conv2.weight": ("free",)},
    ),
    "norms in eval mode": Case(
        lambda: FrozenNorms(lambda n, x: n.bn(n.conv(x)), conv=conv(), bn=bn()), {"conv.weight": ("compensated", "bn")}
    ),
    "norms in eval mode, conv with bias": Case(
        lambda: FrozenNorms(lambda n, x: n.bn(n.conv(x)), conv=conv(bias=True), bn=bn()),
        {"conv.weight": ("compensated", "bn")},
    ),
    "torchvision's frozen norm": Case(
        behind_conv(lambda: FrozenBatchNorm2d(WIDTH)), {"conv.weight": ("compensated", "norm")}
    ),
    "pre-activation blocks": Case(
        pre_activation,
        {
            "stem.weight": ("unsafe", "bn1"),
            "conv1.weight": ("invariant", "bn2"),
            "conv2.weight": ("free",),
            "conv3.weight": ("invariant", "bn4"),
            "conv4.weight": ("free",),
        },
    ),
    "norm before the conv": Case(
        lambda: Net(lambda n, x: n.conv(n.bn(x)), conv=conv(3, 3), bn=bn(3)), {"conv.weight": ("free",)}
    ),
    "tied weights": Case(tied, {"conv1.weight": SPOILED}),
    "weight norm, the old hook": Case(
        conv_bn(with_old_weight_norm), {"conv.weight_g": SPOILED, "conv.weight_v": SPOILED}
    ),
    "weight norm, the parametrization": Case(
        conv_bn(parametrizations.weight_norm),
        {"conv.parametrizations.weight.original0": SPOILED, "conv.parametrizations.weight.original1": SPOILED},
    ),
    "spectral norm, the old hook": Case(conv_bn(spectral_norm), {"conv.weight_orig": SPOILED}),
    "spectral norm, the parametrization": Case(
        conv_bn(parametrizations.spectral_norm), {"conv.parametrizations.weight.original": SPOILED}
    ),
    "any parametrization": Case(conv_bn(doubled), {"conv.parametrizations.weight.original": SPOILED}),
    # A depthwise conv keeps channels apart, so a norm behind it takes the scale of the conv before it away as well.
    # Its own padding and bias could spoil that, so a traced forward leaves it alone.
    "conv, depthwise conv, norm": Case(
        lambda: Net(
            lambda n, x: n.bn(n.depthwise(n.conv(x))),
            conv=conv(),
            depthwise=conv(WIDTH, groups=WIDTH),
            bn=bn(),
        ),
        {"conv.weight": ("free",), "depthwise.weight": ("invariant", "bn")},
        {"conv.weight": ("invariant",)},
    ),
    "concatenation read by many norms": Case(
        dense,
        {
            "stem.weight": ("invariant", "bn1", "bn2", "bn3"),
            "conv1.weight": ("invariant", "bn2", "bn3"),
            "conv2.weight": ("invariant", "bn3"),
        },
    ),
    "one weight at several dilations": Case(
        lambda: Net(lambda n, x: [n.bn(y) for y in n.conv(x)], conv=Dilated(3, WIDTH), bn=bn()), ONE
    ),
    "one weight at several dilations, one without a norm": Case(
        lambda: Net(lambda n, x: (lambda a, b: n.bn(a) + b)(*n.conv(x)), conv=Dilated(3, WIDTH, True), bn=bn()), UNSAFE
    ),
    "halves read by a norm each": Case(
        lambda: Net(halves, conv=conv(), bn_left=bn(WIDTH // 2), bn_right=bn(WIDTH // 2)),
        {"conv.weight": ("invariant", "bn_left", "bn_right")},
    ),
    "one half read by nothing": Case(
        lambda: Net(lambda n, x: n.bn(n.conv(x)[:, :3]), conv=conv(), bn=bn(3)), {"conv.weight": ("invariant", "bn")}
    ),
    "one half read without a norm": Case(
        lambda: Net(lambda n, x: (lambda a, b: n.bn(a) + b)(*n.conv(x).split(3, 1)), conv=conv(), bn=bn(3)),
        {"conv.weight": ("unsafe", "bn")},
    ),
    "channel shuffle": Case(between(lambda y: shuffle(y, 2)), ONE),
    "channels flattened into features": Case(
        lambda: Net(lambda n, x: n.bn(n.conv(x).flatten(1)), conv=conv(), bn=nn.BatchNorm1d(WIDTH * 64)), ONE
    ),
    "permuted before layer norm": Case(
        lambda: Net(lambda n, x: n.norm(n.conv(x).permute(0, 2, 3, 1)), conv=conv(bias=True), norm=nn.LayerNorm(WIDTH)),
        {"conv.weight": ("per_layer", "norm")},
    ),
    "layer norm over everything": Case(
        behind_conv(lambda: nn.LayerNorm([WIDTH, 8, 8])), {"conv.weight": ("per_layer", "norm")}
    ),
    "linear and layer norm": Case(
        lambda: Net(lambda n, x: n.norm(n.linear(x.flatten(1))), linear=nn.Linear(192, 5), norm=nn.LayerNorm(5)),
        {"linear.weight": ("per_layer", "norm")},
    ),
    "linear and batch norm": Case(
        lambda: Net(lambda n, x: n.norm(n.linear(x.flatten(1))), linear=nn.Linear(192, 5), norm=nn.BatchNorm1d(5)),
        {"linear.weight": ("invariant", "norm")},
    ),
    "group norm of one group": Case(
        behind_conv(lambda: nn.GroupNorm(1, WIDTH), bias=True), {"conv.weight": ("per_layer", "norm")}
    ),
    "group norm of several groups": Case(
        behind_conv(lambda: nn.GroupNorm(2, WIDTH), bias=True), {"conv.weight": ("per_group", "norm")}
    ),
    "group norm of one channel each": Case(
        behind_conv(lambda: nn.GroupNorm(WIDTH, WIDTH), bias=True), {"conv.weight": ("invariant", "norm")}
    ),
    "groups that a shuffle took apart": Case(
        lambda: Net(lambda n, x: n.norm(shuffle(n.conv(x), 2)), conv=conv(), norm=nn.GroupNorm(3, WIDTH)),
        {"conv.weight": ("per_layer", "norm")},
    ),
    "instance norm": Case(behind_conv(lambda: nn.InstanceNorm2d(WIDTH)), {"conv.weight": ("invariant", "norm")}),
    # One statistic for each place, over all filters: it sees the scale of one filter, and not that of all together.
    "instance norm over places": Case(
        lambda: Net(lambda n, x: n.norm(n.conv(x).flatten(2).mT), conv=conv(), norm=nn.InstanceNorm1d(PLACES)),
        {"conv.weight": ("free",)},
        {"conv.weight": ("per_layer",)},
    ),
    # A cumulative sum along a side keeps the scale of each group, but is not among the operations that are known to.
    "groups behind an operation that is not known": Case(
        lambda: Net(lambda n, x: n.norm(n.conv(x).cumsum(2)), conv=conv(), norm=nn.GroupNorm(2, WIDTH)),
        {"conv.weight": ("free",)},
        {"conv.weight": ("per_group",)},
    ),
    "instance norm with statistics": Case(
        behind_conv(lambda: nn.InstanceNorm2d(WIDTH, affine=True, track_running_stats=True)),
        {"conv.weight": ("invariant", "norm")},
    ),
    # Each call is blind to its own conv, but the one running mean and variance cannot follow two scales at once.
    "one norm behind two convs": Case(
        lambda: Net(lambda n, x: n.bn(n.conv1(x)) + n.bn(n.conv2(x)), conv1=conv(), conv2=conv(), bn=bn()),
        {"conv1.weight": ("unsafe", "bn"), "conv2.weight": ("unsafe", "bn")},
        {"conv1.weight": ("invariant", "bn"), "conv2.weight": ("invariant", "bn")},
    ),
    "one norm behind a conv, straight and shuffled": Case(
        read_by_one_norm(lambda y, _: shuffle(y, 2)), UNSAFE, {"conv.weight": ("invariant", "bn")}
    ),
    "one norm behind a conv and behind no layer": Case(
        read_by_one_norm(lambda _, x: x.repeat(1, 2, 1, 1)), UNSAFE, {"conv.weight": ("invariant", "bn")}
    ),
    "weight also penalized": Case(
        lambda: Net(lambda n, x: (n.bn(n.conv(x)), n.conv.weight.square().sum()), conv=conv(), bn=bn()), UNSAFE
    ),
    "weight used by a function only": Case(
        lambda: Net(lambda n, x: n.bn(F.conv2d(x, n.conv.weight)), conv=conv(), bn=bn()), FREE
    ),
    "a layer that is never called": Case(
        lambda: Net(lambda n, x: n.bn(n.conv(x)), conv=conv(), bn=bn(), unused=conv(), unused_bn=bn()),
        {"conv.weight": ("invariant", "bn"), "unused.weight": ("free",)},
    ),
    "checkpointed block": Case(
        lambda: Net(
            lambda n, x: checkpoint(n.block, x, use_reentrant=False).relu(), block=nn.Sequential(conv(bias=True), bn())
        ),
        {"block.0.weight": ("invariant", "block.1")},
    ),
    "checkpointed block, reentrant": Case(
        lambda: Net(
            lambda n, x: checkpoint(n.block, x.requires_grad_(), use_reentrant=True).relu(),
            block=nn.Sequential(conv(bias=True), bn()),
        ),
        {"block.0.weight": ("invariant", "block.1")},
    ),
    "autocast to bfloat16": Case(
        lambda: Net(lambda n, x: n.head(n.bn(n.conv(x)).mean((2, 3))), conv=conv(), bn=bn(), head=nn.Linear(WIDTH, 2)),
        {"conv.weight": ("invariant", "bn"), "head.weight": ("free",)},
        forward=see_with_autocast,
    ),
    # Any linear layer hands the scale of a whole layer before it on to the norm behind it.
    "transposed grouped conv": Case(
        lambda: Net(
            lambda n, x: n.bn(n.up(n.conv(x))),
            conv=conv(3, 4),
            up=nn.ConvTranspose2d(4, WIDTH, 3, groups=2, bias=False),
            bn=bn(),
        ),
        {"conv.weight": ("free",), "up.weight": ("invariant", "bn")},
        {"conv.weight": ("per_layer",)},
    ),
    "attention": Case(
        lambda: Net(
            lambda n, x: n.norm(n.attention(*3 * (x.flatten(2).mT,))[0]),
            attention=nn.MultiheadAttention(3, 1, batch_first=True),
            norm=nn.LayerNorm(3),
        ),
        {"attention.out_proj.weight": ("free",)},
    ),
}
