# Weights and norms with and without weight decay, and WRS: checkpoints on the way for the WRS paper's Fig. 3b, 4 and 5.
# python -m research.compare wrs_figure_3 (--small), then research.tables.wrs.weights draws.
from research.tables import settings as _s

title = "the paper's VGG16 on CIFAR-10, with checkpoints"
kind = "mmpretrain"
base = {"net": "vgg16bn", "data": "cifar10", "checkpoints": 20}
columns = {"SGDM": _s.SGDM}
methods = {"none": {**_s.WD, "weight_decay": 0.0}, "WD": _s.WD, "WRS": _s.WRS}
scores = {"accuracy %": "accuracy"}
seeds = (0,)
small = dict(kind="cifar", base={**_s.CIFAR, "checkpoints": 20, "looks": 20, "weight_decay": 5e-3})
