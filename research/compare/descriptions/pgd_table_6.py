# Constrained weights on ImageNet (constrained paper, Table 6). The paper gives neither decay nor noise: the decay is its
# own for ResNet on CIFAR, the noise its own for point clouds. "plain" has no norm layers.
# python -m research.compare pgd_table_6 (--small)
from research.tables import settings as _s

title = "constrained weights and norm layers, ResNet-50 on ImageNet"
kind = "mmpretrain"
base = {"net": "resnet50", "data": "imagenet", "with_pgd": {"weight_decay": 1e-3, "sigma": 0.4, "noise": "linear"}}
methods = {
    "PGD": _s.pgd(),
    "plain": {**_s.WD, "norm": "none"},
    "GN": {**_s.WD, "norm": "group"},
    "WS + GN": {**_s.WS, "norm": "group"},
    "BN": _s.WD,
    "WS + BN": _s.WS,
}
scores = {"accuracy %": "accuracy", "top 5 %": "top5"}
baseline = "BN"
seeds = (0,)
small = dict(
    kind="cifar",
    base={**_s.DIGITS, "net": "resnet20", "epochs": 60, "rate": 0.01, "weight_decay": 1e-3},
    scores={"accuracy %": "accuracy"},
    seeds=(0, 1, 2),
)
