# WD, WS with weight decay, and WRS: three nets, three data sets, two optimizers (WRS paper, Table I, and its t-test).
# Each chooses its decay of three on validation, as in the paper; there WRS chooses its interval too, here it is 10.
# python -m research.compare wrs_table_1 (--small)
from research.tables import settings as _s

_OPTIMIZERS = {"SGDM": _s.SGDM, "Adam": _s.ADAM}
_NETS = {"VGG16": "vgg16bn", "ResNet-18": "resnet18", "WideResNet": "wrn28_10"}
_SETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "Tiny ImageNet": "tinyimagenet"}
title = "image classification of the WRS paper"
kind = "mmpretrain"
base = {"validated": 5_000}
columns = {
    f"{net}, {data}, {name}": {"net": _NETS[net], "data": _SETS[data], **optimizer}
    for net in _NETS
    for data in _SETS
    for name, optimizer in _OPTIMIZERS.items()
}
methods = {"WD": _s.WD, "WS": _s.WS, "WRS": _s.WRS}
scores = {"accuracy %": "accuracy"}
rate, rates = "weight_decay", (5e-3, 5e-4, 5e-5)
small = dict(
    kind="cifar",
    base={},
    columns={
        f"{net}, {data}, {name}": {**pictures, "net": net, **optimizer}
        for data, pictures, nets in (
            ("CIFAR-10", _s.CIFAR, ("cnn4", "cnn9")),
            ("digits", _s.DIGITS, ("cnn9", "resnet20")),
        )
        for net in nets
        for name, optimizer in _OPTIMIZERS.items()
    },
)
