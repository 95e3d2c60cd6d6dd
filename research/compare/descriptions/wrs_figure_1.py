# When weight decay and WRS are active: never, first, afterwards, always (WRS paper, Fig. 1 and 6a).
# python -m research.compare wrs_figure_1 (--small)
from research.tables import settings as _s

title = "weight decay and WRS in phases; the rate drops by 10 at 3/10, 6/10 and 8/10"
kind = "mmpretrain"
base = {**_s.SGDM, "epochs": 200, "schedule": "drops"}
columns = {
    "ResNet-18, CIFAR-10": dict(net="resnet18", data="cifar10"),
    "WideResNet, CIFAR-10": dict(net="wrn28_10", data="cifar10"),
    "ResNet-18, CIFAR-100": dict(net="resnet18", data="cifar100"),
    "ResNet-18, Tiny ImageNet": dict(net="resnet18", data="tinyimagenet"),
    "VGG16, CIFAR-10": dict(net="vgg16bn", data="cifar10"),
}
methods = {"neither": {**_s.WD, "weight_decay": 0.0}}
methods |= {f"WD {name}": {**_s.WD, "phase": phase} for name, phase in _s.PHASES.items()}
methods |= {f"WRS {name}": {**_s.WRS, "phase": phase} for name, phase in _s.PHASES.items()}
scores = {"accuracy %": "accuracy"}
small = dict(  # long enough to overfit
    kind="cifar",
    base={**_s.CIFAR, **_s.SGDM, "schedule": "drops", "pictures": 1_000, "epochs": 60, "batch": 50, "looks": 15},
    columns={"": {}},
)
