# Small batches, where the statistics of batch norm are inexact (constrained paper, Table 2). The rate is eta B / 128.
# python -m research.compare pgd_table_2 (--small)
from research.tables import settings as _s

title = "small batches, WideResNet-28-10 with Fast AutoAugment"
kind = "mmpretrain"
base = {**_s.WRN28_10, **_s.PUBLISHED, "augment": "fast_aa", "rate_is_for_batch": 128}
columns = {
    f"{name}, B = {batch}": {"data": data, "batch": batch}
    for name, data in (("CIFAR-10", "cifar10"), ("CIFAR-100", "cifar100"))
    for batch in (4, 16, 128)
}
methods = {"BN": _s.WD, "PGD": _s.pgd()}
scores = {"accuracy %": "accuracy"}
small = dict(
    kind="cifar",
    base={**_s.CIFAR, "epochs": 4, "rate": 0.1, "rate_is_for_batch": 128, "weight_decay": 1e-3},
    columns={f"B = {batch}": {"batch": batch} for batch in (128, 32, 8, 4, 2)},
)
