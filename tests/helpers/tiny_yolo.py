"""A few drawn images in the layout of each ultralytics task, and settings that train on them offline in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 64
CLASSES = ("light", "dark", "grey")
KEYPOINTS = 2

OFFLINE = {
    "imgsz": SIDE,
    "epochs": 2,
    "batch": 2,
    "nbs": 2,
    "device": "cpu",
    "workers": 0,
    "amp": False,  # its check loads a model
    "plots": False,  # they load a font
    "optimizer": "SGD",
    "verbose": False,
    "exist_ok": True,
}


def make_set(folder: Path, task: str, train: int = 4, val: int = 2) -> Path:
    """What `data=` takes: a YAML file, or the folder for classification."""
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            rng = np.random.default_rng([count, index])
            label, box = index % len(CLASSES), (*rng.uniform(0.3, 0.7, 2), *rng.uniform(0.3, 0.5, 2))
            picture = Image.fromarray(_picture(rng, label, box))
            where = folder / split / CLASSES[label] if task == "classify" else folder / "images" / split
            where.mkdir(parents=True, exist_ok=True)
            picture.save(where / f"{index:04d}.png")
            if task != "classify":
                (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
                values = " ".join(f"{value:.5f}" for value in _values(task, box))
                (folder / "labels" / split / f"{index:04d}.txt").write_text(f"{label} {values}\n")
    if task == "classify":
        return folder
    keypoints = f"kpt_shape: [{KEYPOINTS}, 3]\nflip_idx: [1, 0]\n" if task == "pose" else ""
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\n{keypoints}names:\n{names}")
    return folder / "data.yaml"


def _picture(rng: np.random.Generator, label: int, box: tuple[float, ...]) -> np.ndarray:
    pixels = rng.integers(90, 110, (SIDE, SIDE, 3))
    x, y, w, h = (int(SIDE * value) for value in box)
    pixels[y - h // 2 : y + h // 2, x - w // 2 : x + w // 2] = (230, 20, 160)[label]
    return pixels.astype(np.uint8)


def _values(task: str, box: tuple[float, ...]) -> list[float]:
    x, y, w, h = box
    left, right, top, bottom = x - w / 2, x + w / 2, y - h / 2, y + h / 2
    if task in ("segment", "obb"):
        return [left, top, right, top, right, bottom, left, bottom]
    points = [left, y, 2, right, y, 2] if task == "pose" else []
    return [x, y, w, h, *points]


TINY_NET = """
nc: 3
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]] # stride 8
  - [-1, 1, Conv, [32, 3, 2]] # stride 16
  - [-1, 1, Conv, [32, 3, 2]] # stride 32
head:
  - [[2, 3, 4], 1, Detect, [nc]]
"""


def tiny_net(folder: Path) -> str:
    """A detector of their modules that takes a step in milliseconds."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY_NET)
    return str(folder / "tiny.yaml")


def train(folder: Path, method=None, base=None, callbacks=(), select=None, monitor=None, **settings):
    """Train the tiny net on the drawn set and return its trainer; `method=None` is the stock one.

    Args:
        base: a trainer class to stand in front of, or without a method the one to train with.
        monitor: updates between two reports; None is the default with a method, and without one no monitor.
    """
    from ultralytics import YOLO

    from normreg_plugins.hosts.ultralytics import with_method, with_monitor

    model = YOLO(tiny_net(folder))
    for event, callback in dict(callbacks).items():
        model.add_callback(event, callback)
    trainer = base
    if method is not None:
        given = {} if monitor is None else {"monitor": monitor}
        trainer = with_method(base or model, method, select, **given)
    elif monitor is not None:
        trainer = with_monitor(base or model, monitor)
    data = make_set(folder / "set", "detect")
    model.train(trainer=trainer, data=str(data), project=str(folder), **{**OFFLINE, **settings})
    return model.trainer


def load_yaml(name: str, folder: Path) -> str:
    """The stock model where it is small; else the same layers and wiring with fewer channels or decoder layers."""
    cuts = {"yolov3": _narrow_yolov3, "rtdetr-l": _small_rtdetr}
    if name not in cuts:
        return f"{name}.yaml"
    from ultralytics.nn.tasks import yaml_model_load
    from ultralytics.utils import YAML

    layout = yaml_model_load(f"{name}.yaml")
    cuts[name](layout)
    YAML.save(folder / f"{name}.yaml", {key: value for key, value in layout.items() if key != "yaml_file"})
    return str(folder / f"{name}.yaml")


def _narrow_yolov3(layout: dict) -> None:
    layout["width_multiple"] = 0.125


def _small_rtdetr(layout: dict) -> None:
    for layer in layout["backbone"] + layout["head"]:
        layer[-1] = [a // 4 if type(a) is int and a >= 48 else a for a in layer[-1]]  # channels, not kernels or flags
    hidden, queries, points, heads, decoder_layers, width = 64, 20, 2, 4, 2, 64
    layout["head"][-1][-1] = ["nc", hidden, queries, points, heads, decoder_layers, width]


def filter_norms(model) -> dict:
    """The norm of each filter of each conv and linear weight, one filter at a time."""
    import torch

    found = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.ConvTranspose2d):
            weight = module.weight.detach()
            filters = weight.transpose(0, 1) if isinstance(module, torch.nn.ConvTranspose2d) else weight
            found[f"{name}.weight"] = torch.stack([one.norm() for one in filters])
    return found
