# AdamW, AdamP, and WRS and WRS(IC) with each, on Tiny ImageNet (WRS paper, Table II). WRS takes all convolutions of the
# published WideResNet. AdamW's decay is 5e-1, which alone helps in Fig. 2b; what WRS leaves to it has 5e-4.
# python -m research.compare wrs_table_2 (--small)
from research.tables import settings as _s

title = "Adam's variants on Tiny ImageNet"
kind = "mmpretrain"
base = {"data": "tinyimagenet", "rate": 1e-3, "weight_decay": 5e-4}
columns = {"ResNet18": {"net": "resnet18"}, "WideResNet": {"net": "wrn28_10", **_s.PUBLISHED}}
methods = {
    "AdamW": {"optimizer": "adamw", **_s.WD, "weight_decay": 5e-1},
    "AdamP": {"optimizer": "adamp", **_s.WD, "weight_decay": 5e-1},
    "AdamW + WRS": {"optimizer": "adamw", **_s.WRS},
    "AdamP + WRS": {"optimizer": "adamp", **_s.WRS},
    "AdamW + WRS(IC)": {"optimizer": "adamw", **_s.WRS_IC},
    "AdamP + WRS(IC)": {"optimizer": "adamp", **_s.WRS_IC},
}
scores = {"accuracy %": "accuracy"}
small = dict(
    kind="cifar",
    base={"rate": 0.01, "weight_decay": 5e-4},
    columns={"cnn9, CIFAR-10": _s.CIFAR, "resnet20, digits": {**_s.DIGITS, "net": "resnet20"}},
)
