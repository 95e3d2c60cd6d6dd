# Weight decay of weight-standardized convolutions alone, the rest at 1e-4 (AWS paper, Table 1; Fig. 1 is decay 0 against
# 1e-4; the logs have eta / std of Fig. 2 and 4). Eq. 25 divides by the bare deviation. Adam's rate is constant.
# python -m research.compare aws_table_1 (--small)
from research.tables import settings as _s

_WS = {"convert": "ws", "guard": 0.0}
_ADAM = {**_s.ADAM, "epochs": 100, "schedule": "constant"}


def _decays(times):
    return {f"WD {decay:g}": {"filter_decay": decay * times} for decay in (0.0, 1e-2, 1e-3, 1e-4, 1e-5)}


title = "weight decay of the convolutions, ResNet-50 on ImageNet"
kind = "mmpretrain"
base = {"net": "resnet50", "data": "imagenet", "weight_decay": 1e-4}
columns = {"SGD, WS": {**_s.SGDM, **_WS}, "Adam, WS": {**_ADAM, **_WS}, "SGD, no WS": _s.SGDM}
methods = _decays(1)
baseline = "WD 0.0001"
scores = {"accuracy %": "accuracy"}
seeds = (0,)
small = dict(  # 1,500 updates instead of 500,500: decays 333 times as large have the paper's product with the rates
    kind="cifar",
    base={
        **_s.DIGITS,
        "weight_decay": 1e-4,
        "epochs": 60,
        "batch": 16,
        "schedule": "drops",
        "drops": (0.3, 0.6, 0.9),
        "looks": 30,
    },
    columns={**columns, "Adam, WS": {**_s.ADAM, **_WS, "schedule": "constant"}},
    methods=_decays(333),
    seeds=(0, 1, 2),
)
