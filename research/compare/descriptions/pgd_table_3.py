# Centring, sphere and noise, each on and off (constrained paper, Table 3).
# python -m research.compare pgd_table_3 (--small)
from research.tables import settings as _s

title = "the parts of PGD, WideResNet-28-10"
kind = "mmpretrain"
base = {key: value for key, value in {**_s.WRN28_10, **_s.PUBLISHED}.items() if key != "with_pgd"}
base |= {"rate": 0.2, "weight_decay": 5e-3, "noise": "linear"}
columns = {
    f"{name}, sigma {sigma:g}": {"data": data, "sigma": sigma}
    for name, data in (("CIFAR-10", "cifar10"), ("CIFAR-100", "cifar100"))
    for sigma in (0.0, 1.0)
}
methods = {
    "neither": _s.pgd(center=False, sphere=False),
    "centre": _s.pgd(sphere=False),
    "sphere": _s.pgd(center=False),
    "both": _s.pgd(),
}
baseline = "both"
scores = {"accuracy %": "accuracy"}
small = dict(
    kind="cifar",
    base={**_s.CIFAR, "rate": 0.05, "weight_decay": 1e-3},
    columns={f"sigma {sigma:g}": {"sigma": sigma} for sigma in (0.0, 0.2)},
)
