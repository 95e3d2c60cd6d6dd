# Six nets with batch norm alone, with WS and weight decay, and with WS and AWS (AWS paper, Table 3).
# python -m research.compare aws_table_3 (--small)
from research.tables import settings as _s

_NEXT = {"type": "ResNeXt", "groups": 32, "width_per_group": 4}
title = "baseline, WS with weight decay, and WS with AWS on ImageNet"
kind = "mmpretrain"
base = {"net": "resnet50", "data": "imagenet"}
columns = {
    f"{name}-{depth}": {"backbone": {"depth": depth, **backbone}}
    for name, backbone in (("ResNet", {}), ("ResNeXt", _NEXT), ("SE-ResNet", {"type": "SEResNet"}))
    for depth in (50, 101)
}
methods = {"baseline": _s.WD, "WS + WD": _s.WS, "WS + AWS": _s.aws(2.5e-3)}
scores = {"accuracy %": "accuracy"}
seeds = (0,)
small = dict(  # an alpha with the paper's product of strength, rate and updates
    kind="cifar",
    base={**_s.CIFAR, **_s.SGDM, "weight_decay": 1e-3},
    columns={"cnn9, CIFAR-10": {}, "resnet20, digits": {**_s.DIGITS, "net": "resnet20"}},
    methods={**methods, "WS + AWS": _s.aws(2.5)},
    seeds=(0, 1, 2),
)
