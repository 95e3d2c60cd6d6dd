# Constrained weights against batch and group norm, with and without WS (constrained paper, Table 1). The paper gives
# rate, decay and noise for its own method only, and no noise for the CNN and ResNet-110.
# python -m research.compare pgd_table_1 (--small)
from research.tables import settings as _s

_SETS = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100"}
_NETS = {"CNN": _s.CNN9, "ResNet-110": _s.RESNET110, "WideResNet-28-10": {**_s.WRN28_10, **_s.PUBLISHED}}
title = "constrained weights and norm layers"
kind = "mmpretrain"
columns = {
    f"{data}, {augment}, {net}": {**settings, "data": _SETS[data], "augment": word}
    for data in _SETS
    for augment, word in (("standard", "crop_flip"), ("FastAA", "fast_aa"))
    for net, settings in _NETS.items()
}
methods = {
    "PGD": _s.pgd(),
    "BN": _s.WD,
    "GN": {**_s.WD, "norm": "group"},
    "WS + BN": _s.WS,
    "WS + GN": {**_s.WS, "norm": "group"},
}
baseline = "BN"
scores = {"accuracy %": "accuracy"}
small = dict(
    kind="cifar",
    base={"rate": 0.05, "weight_decay": 1e-3},
    columns={
        "CIFAR-10, CNN": {**_s.CIFAR, "with_pgd": {"sigma": 0.1}},
        "digits, ResNet-20": {**_s.DIGITS, "net": "resnet20", "with_pgd": {"noise": "linear", "sigma": 0.2, "rate": 0.01}},
        "digits, CNN": {**_s.DIGITS, "net": "cnn9"},
    },
)
