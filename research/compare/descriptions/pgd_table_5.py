# Clouds of points: constrained weights and norm layers in DGCNN on ModelNet40 (constrained paper, Table 5). The settings
# are those of DGCNN's authors (40 / 39 makes their smoothed labels of torch's); noise and augmentation are the paper's.
# python -m research.prepare_modelnet40 ModelNet40, then python -m research.compare pgd_table_5; or --small
from research.tables import settings as _s

_WD, _WS = ({**rest, "initial_scale": 6**-0.5} for rest in (_s.WD, _s.WS))  # norms as nn.Conv2d begins, in the authors' code
title = "constrained weights and norm layers, DGCNN on ModelNet40"
kind = "cifar"
base: dict = {"data": "modelnet40", "net": "dgcnn", "width": 64, "pictures": 9_843, "validated": 0, "tested": 2_468}
base |= {"epochs": 250, "batch": 32, "rate": 0.1, "last_rate": 1e-3, "weight_decay": 1e-4, "smoothing": 0.2 * 40 / 39}
base |= {"with_pgd": {"sigma": 0.4}}
methods = {
    "PGD": _s.pgd(),
    "GN": {**_WD, "norm": "group"},
    "WS + GN": {**_WS, "norm": "group"},
    "BN": _WD,
    "WS + BN": _WS,
}
baseline = "BN"
scores = {"accuracy %": "accuracy", "mean of classes %": "class_accuracy"}
_SOLIDS = {"data": "solids", "net": "dgcnn_small", "width": 8, "pictures": 640, "validated": 400, "tested": 800}
small = dict(
    title="constrained weights and norm layers, a small DGCNN on eight solids",
    base={**base, **_SOLIDS, "epochs": 16, "with_pgd": {"sigma": 0.1}},
    rate="rate",
    rates=(0.01, 0.03, 0.1),
)
