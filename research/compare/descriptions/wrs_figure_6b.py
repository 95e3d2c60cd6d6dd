# WRS, weight decay, weight standardization and bounded weight normalization (WRS paper, Fig. 6b).
# python -m research.compare wrs_figure_6b (--small)
from research.tables import settings as _s

title = "ResNet-18 on CIFAR-10; BWN has mean-only batch norm and the matrix norms of the initialization"
kind = "mmpretrain"
base = {"net": "resnet18", "data": "cifar10", **_s.SGDM}
methods = {
    "WD": _s.WD,
    "WRS": _s.WRS,
    "WS, no decay": {**_s.WS, "weight_decay": 0.0},
    "WS": _s.WS,
    "BWN": {**_s.WD, "convert": "bwn", "norm": "mean_only"},
}
scores = {"accuracy %": "accuracy"}
small = dict(kind="cifar", base={**_s.CIFAR, **_s.SGDM, "looks": 15})
