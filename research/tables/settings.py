"""What the descriptions of the papers' tables share: `from research.tables import settings as _s`.

The words are those of `research.cifar.training.Training` and `research.cifar.in_mm`.
"""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]

WD: Settings = {"method": {"type": "WD"}}
WS: Settings = {**WD, "convert": "ws"}
"""Weight standardization with weight decay."""


def wrs(interval: int = 10, **options: Any) -> Settings:
    """Algorithm 1 of the WRS paper, the output layer included."""
    return {"method": {"type": "WRS", "interval": interval, "output_layers": "classifier", **options}}


WRS, WRS_IC = wrs(), wrs(per="position")


def aws(alpha: float) -> Settings:
    return {"method": {"type": "AWS", "alpha": alpha}, "convert": "ws"}


def pgd(**options: Any) -> Settings:
    return {"method": {"type": "PGD", **options}, "convert": "pgd"}


SGDM: Settings = {"optimizer": "sgdm", "rate": 0.1}
ADAM: Settings = {"optimizer": "adam", "rate": 1e-3}
ADAMW: Settings = {"optimizer": "adamw", "rate": 1e-3}
PHASES = {"first 3/10": (0.0, 0.3), "last 7/10": (0.3, 1.0), "always": (0.0, 1.0)}
"""Of 200 epochs: 0-60, 60-200, 0-200."""

# The constrained paper, section 4.1.1: cosine over 200 epochs, batches of 128, pixels of mean 0 and deviation 1
_PROTOCOL: Settings = {"epochs": 200, "schedule": "cosine", "batch": 128, "pixels": "standard", "augment": "crop_flip"}
CNN9: Settings = {"net": "cnn9", **_PROTOCOL, "with_pgd": {"rate": 0.1, "weight_decay": 1e-3, "sigma": 0.2}}
RESNET110: Settings = {
    "net": "resnet110",
    **_PROTOCOL,
    "with_pgd": {"rate": 0.2, "weight_decay": 1e-3, "sigma": 1.0, "noise": "linear"},
}
WRN28_10: Settings = {
    "net": "wrn28_10",
    **_PROTOCOL,
    "with_pgd": {"rate": 0.2, "weight_decay": 5e-3, "sigma": 1.0, "noise": "linear"},
}
PUBLISHED: Settings = {"block": "preactivated", "select": "backbone.*"}
"""The WideResNet as it was published. Sums hide norm layers from half of its convolutions, so they are named."""

# For two cores: minutes a training
CIFAR: Settings = {"data": "data/cifar10", "net": "cnn9", "pictures": 2_000, "epochs": 10, "batch": 64, "tested": 5_000}
DIGITS: Settings = {
    "data": "digits",
    "net": "cnn3",
    "pictures": 400,
    "validated": 400,
    "tested": 997,
    "epochs": 20,
    "batch": 32,
    "augment": False,
}
