# Weight decay over decades against WRS every 10 to 50 updates (WRS paper, Fig. 2b and 8; wrs_figure_8 has VOC and
# Cityscapes). The cells' logs have the effective gradient norms of Fig. 2a.
# python -m research.compare wrs_figure_2 (--small)
from research.tables import settings as _s

_DECAYS, _TAUS = (5e-5, 5e-4, 5e-3, 5e-2, 5e-1), (10, 20, 30, 40, 50)
_NETS = {"VGG16, CIFAR-10": ("vgg16bn", "cifar10"), "ResNet-18, CIFAR-10": ("resnet18", "cifar10")}
_NETS |= {
    "ResNet-18, Tiny ImageNet": ("resnet18", "tinyimagenet"),
    "WideResNet, Tiny ImageNet": ("wrn28_10", "tinyimagenet"),
}
title = "strengths of weight decay and of WRS"
kind = "mmpretrain"
base = {"weight_decay": 5e-4}
columns = {
    f"{name}, {optimizer}": {"net": net, "data": data, **settings}
    for name, (net, data) in _NETS.items()
    for optimizer, settings in (("AdamW", _s.ADAMW), ("SGDM", _s.SGDM))
}
methods = {f"WD {decay:g}": {**_s.WD, "weight_decay": decay} for decay in (0.0, *_DECAYS)}
methods |= {f"WRS tau {tau}": _s.wrs(tau) for tau in _TAUS}
baseline = "WD 0.0005"
scores = {"accuracy %": "accuracy"}
sweeps = {
    "weight decay": {f"WD {decay:g}": decay for decay in _DECAYS},
    "updates between two rescales by WRS": {f"WRS tau {tau}": tau for tau in _TAUS},
}
small = dict(
    kind="cifar",
    base={**_s.CIFAR, "weight_decay": 5e-4, "looks": 15},
    columns={"AdamW": {**_s.ADAMW, "rate": 0.01}, "SGDM": _s.SGDM},
)
