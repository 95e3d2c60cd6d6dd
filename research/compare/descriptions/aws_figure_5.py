# Filters that begin 1, 20 or 100 times as large, in weight-standardized convolutions (AWS paper, Fig. 5 and 6). Weight
# decay shrinks a large filter by the same factor at each update; AWS shrinks a larger one faster: after t updates its std
# is below 1 / (eta alpha t). python -m research.compare aws_figure_5 (--small)
from research.tables import settings as _s

title = "WS-ResNet-50 on ImageNet, from larger filters"
kind = "mmpretrain"
base = {"net": "resnet50", "data": "imagenet", "convert": "ws", "weight_decay": 1e-4}
columns = {f"x{scale}": {"initial_scale": scale} for scale in (1, 20, 100)}
methods = {"WD": _s.WD, "AWS": _s.aws(2.5e-3)}
scores = {"accuracy %": "accuracy"}
seeds = (0,)
small = dict(  # 2,000 updates, 250 times fewer than the paper's; a larger alpha has to do
    kind="cifar",
    base={
        **_s.DIGITS,
        **_s.SGDM,
        "convert": "ws",
        "weight_decay": 1e-4,
        "epochs": 2000 / 12,
        "schedule": "constant",
        "looks": 50,
    },
    methods={
        **{f"WD {decay:g}": dict(filter_decay=decay) for decay in (1e-4, 1e-3)},
        "AWS 0.1": dict(method=dict(type="AWS", alpha=0.1)),
    },
    seeds=(0, 1, 2),
)
