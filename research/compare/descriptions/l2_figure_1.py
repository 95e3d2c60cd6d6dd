# Rate x weight decay under four optimizers (L2 paper): the norm of the first layer (Fig. 1), the accuracy (100 - the
# error of Fig. 2), the same with filters that get norm 1 after each update (Fig. 3), and the best rate of each decay,
# chosen on validation (Fig. 4: 1 / lambda under SGD and Nesterov momentum, 1 / sqrt(lambda) under RMSprop and Adam).
# python -m research.compare l2_figure_1 (--small)
from research.tables import settings as _s

_NORMALIZED = {"method": {"type": "WRS", "interval": 1, "decay_on": "all"}}
title = "the L2 paper's net on CIFAR-10"
kind = "mmpretrain"
base = {"net": "cnn4", "data": "cifar10", "validated": 5_000, "norm_decay": False, **_s.WD}
columns: dict = {
    "SGD": {"optimizer": "sgd"},
    "Nesterov": {"optimizer": "nesterov", "rate_times": 0.1},
    "RMSprop": {"optimizer": "rmsprop", "rate_times": 0.01},
    "Adam": {"optimizer": "adam", "rate_times": 0.01},
}
columns |= {f"{name}, normalized": {**columns[name], **_NORMALIZED} for name in ("Nesterov", "Adam")}
methods = {f"decay {decay:g}": {"weight_decay": decay} for decay in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)}
rate, rates = "rate", tuple(4.0**power for power in range(-6, 2))
every_rate = {column: tuple(methods) for column in columns}
scores = {"accuracy %": "accuracy", "norm of the first layer": "first_norm"}
selection_seeds = (0, 1, 2)
_more = {f"decay {decay:g}": {"weight_decay": decay} for decay in (0.01, 0.1, 1.0)}
small = dict(  # 600 updates instead of 39,000: such decays bring the norms to their equilibrium
    kind="cifar",
    base={**_s.DIGITS, **_s.WD, "net": "cnn4", "norm_decay": False, "schedule": "drops", "drops": (0.5, 0.8), "epochs": 50},
    methods=_more,
    rates=tuple(2.0**power for power in range(-6, 3)),
    every_rate=dict.fromkeys(columns, tuple(_more)),
)
