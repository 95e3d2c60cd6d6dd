# How much noise, constant or growing with depth (constrained paper, Table 4; the logs have the curves of Fig. 2).
# python -m research.compare pgd_table_4 (--small)
from pathlib import Path as _Path
from runpy import run_path as _run_path

from research.tables import settings as _s

_like = _run_path(str(_Path(__file__).with_name("pgd_table_3.py")))
title = "the noise of PGD, WideResNet-28-10"
kind = "mmpretrain"
base = _like["base"]
columns = {"CIFAR-10": {"data": "cifar10"}, "CIFAR-100": {"data": "cifar100"}}
methods = {"no noise": _s.pgd()}
methods |= {f"constant {sigma}": {**_s.pgd(), "sigma": sigma, "noise": "constant"} for sigma in (0.1, 0.2, 0.3, 0.4)}
methods |= {f"linear {sigma}": {**_s.pgd(), "sigma": sigma, "noise": "linear"} for sigma in (0.2, 0.4, 0.6, 0.8, 1.0)}
scores = {"accuracy %": "accuracy"}
small = dict(
    kind="cifar",
    base={**_s.DIGITS, "net": "resnet20", "epochs": 60, "rate": 0.01, "weight_decay": 1e-3, "looks": 30},
    columns={"": {}},
)
