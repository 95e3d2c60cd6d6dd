"""Fast AutoAugment by mmpretrain's own transforms, from the policies that its authors published.

Lim et al. 2019 found the policies by search; their repository, kakaobrain/fast-autoaugment, has them as
`fa_reduced_cifar10` in FastAutoAugment/archive.py. Written as JSON they are a list of sub-policies, each a list of
[operation, probability, level]. This is what the constrained paper calls FastAA, with Cutout after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = Path("data/fast_autoaugment_cifar10.json")
PIXELS, CUT = 32, 16
Transform = dict[str, Any]


def _moved(kind: str, most: float, **options: Any) -> Callable[[float], Transform]:
    """Level 0 and 1 are the two ends, and each picture is mirrored or not, so only the size counts."""
    key = "angle" if kind == "Rotate" else "magnitude"
    return lambda level: {"type": kind, key: abs(2 * level - 1) * most, "random_negative_prob": 0.5, **options}


def _changed(kind: str) -> Callable[[float], Transform]:
    """A factor of 0.1 to 1.9; mmpretrain adds 1."""
    return lambda level: {"type": kind, "magnitude": 0.1 + 1.8 * level - 1, "random_negative_prob": 0.0}


OPERATIONS: dict[str, Callable[[float], Transform]] = {
    "ShearX": _moved("Shear", 0.3, direction="horizontal"),
    "ShearY": _moved("Shear", 0.3, direction="vertical"),
    "TranslateX": _moved("Translate", 0.45, direction="horizontal"),
    "TranslateY": _moved("Translate", 0.45, direction="vertical"),
    "Rotate": _moved("Rotate", 30.0),
    "Contrast": _changed("Contrast"),
    "Color": _changed("ColorTransform"),
    "Brightness": _changed("Brightness"),
    "Sharpness": _changed("Sharpness"),
    "Solarize": lambda level: {"type": "Solarize", "thr": 256 * level},
    "Posterize": lambda level: {"type": "Posterize", "bits": int(4 + 4 * level)},
    "Cutout": lambda level: {"type": "Cutout", "shape": max(1, round(0.2 * level * PIXELS))},
    "AutoContrast": lambda _: {"type": "AutoContrast"},
    "Equalize": lambda _: {"type": "Equalize"},
    "Invert": lambda _: {"type": "Invert"},
}
"""From a level, 0 to 1, to mmpretrain's transform."""


def fast_auto_augment(file: Path | None = None) -> list[Transform]:
    """A random sub-policy, and a hole of 16 px."""
    file = file or FILE
    if not file.is_file():
        raise FileNotFoundError(f"there is no {file}: write fa_reduced_cifar10() of kakaobrain/fast-autoaugment there")
    policies = [
        [{**OPERATIONS[name](level), "prob": probability} for name, probability, level in each]
        for each in json.loads(file.read_text())
    ]
    return [{"type": "AutoAugment", "policies": policies}, {"type": "Cutout", "shape": CUT, "prob": 1.0}]
