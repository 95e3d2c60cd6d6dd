# Filter norms of an MLP with and without weight decay at the rate 1e-6 (WRS paper, Fig. 3a). The paper gives no data, widths
# or decay. This decay is the largest of Fig. 2; the usual 5e-4 moves a weight by 5e-10 of it, which float32 rounds away.
# python -m research.compare wrs_figure_3a (--small), then research.tables.wrs.weights norms
from research.tables import settings as _s

title = "an MLP in small steps"
kind = "cifar"
base = {
    "data": "data/cifar10",
    "net": "mlp",
    "width": 32,
    "pictures": 45_000,
    "batch": 128,
    "epochs": 100,
    "checkpoints": 20,
}
base |= {"optimizer": "sgd", "rate": 1e-6, "schedule": "constant"}
methods = {"none": {**_s.WD, "weight_decay": 0.0}, "WD": {**_s.WD, "weight_decay": 0.5}}
scores = {"accuracy %": "accuracy"}
seeds = (0,)
small = dict(base={**base, **_s.DIGITS, "net": "mlp", "rate": 1e-4})
