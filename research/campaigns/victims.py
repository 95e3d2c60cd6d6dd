"""What is killed: each is started over and over in one folder until it ends, and then shows what it made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from helpers.mm_toy import ToyImages, ToyNet, loader
from helpers.mm_toy import train as train_mm
from helpers.tiny_yolo import OFFLINE, make_set
from helpers.tiny_yolo import tiny_net as tiny_yolo
from helpers.training import tiny_net, train
from mmengine.registry import DATASETS, MODELS
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.cli.data import prepare_qnrf
from normreg_plugins.cli.data.make_mini_data import make_mini_set
from normreg_plugins.files import atomic_path
from research.compare.description import Comparison
from research.compare.train_cell import train_cell
from research.compare.work import work

WRS = WeightRescaling(interval=4)
EPOCHS = 6
"""Of a run of ultralytics."""


@dataclass(frozen=True)
class Victim:
    """One kind of run.

    Args:
        make: what it starts from, made once beside all its folders.
        run: begins in an empty folder, or resumes from what is there.
        result: what it made, to be compared with an unbroken run bit for bit.
        checkpoints: the files in its folder that must be complete at all times.
    """

    run: Callable[[Path], None]
    result: Callable[[Path], dict[str, Any]]
    checkpoints: tuple[str, ...] = ()
    make: Callable[[Path], Any] = str


def plain(folder: Path) -> None:
    """60 updates in a plain loop."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    handle = attach(optimizer, net, WeightRescaling(interval=4, radius="initial", decay_on="all"))
    file = folder / "checkpoint.pth"
    if file.is_file():
        saved = torch.load(file, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
    while handle.updates < 60:
        train(net, optimizer, 3, first=handle.updates)
        with atomic_path(file) as unfinished:
            torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, unfinished)


@DATASETS.register_module()
class NoisyToys(ToyImages):
    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        item = super().__getitem__(index)
        return {**item, "image": item["image"] + torch.randn(())}


@MODELS.register_module()
class DroppingNet(ToyNet):
    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(super().features(x), 0.3, self.training)


def mm_run(by_epoch: bool) -> Callable[[Path], None]:
    """30 iterations with dropout and noise, by epochs of 6 or as they come, with a validation between."""
    length = {"by_epoch": True, "max_epochs": 5} if by_epoch else {"by_epoch": False, "max_iters": 30}
    every = 1 if by_epoch else 4
    checkpoint = {"interval": every, "by_epoch": by_epoch, "random_states": True, "max_keep_ckpts": 2}
    data = {**loader(shuffle=True), "dataset": {"type": "NoisyToys"}}

    def run(folder: Path) -> None:
        train_mm(
            folder,
            {"type": "WRS", "interval": 4},
            model={"type": "DroppingNet"},
            train_dataloader=data,
            train_cfg={**length, "val_interval": every},
            val_dataloader=data,
            val_cfg={"type": "ValLoop"},
            val_evaluator={"type": "MeanScore"},
            default_hooks={"checkpoint": {"type": "NormRegCheckpointHook", **checkpoint}},
            resume=True,
        )

    return run


def ultralytics_run(folder: Path) -> None:
    """6 epochs of 2 updates. The host rounds its checkpoints to half precision, so no two ends are bit-equal."""
    from ultralytics import YOLO

    from normreg_plugins.hosts.ultralytics import with_method

    last = folder / "train" / "weights" / "last.pt"
    resumed = last.is_file()
    saved = torch.load(last, weights_only=False) if resumed else {}
    if saved and (saved["optimizer"] is None or saved["epoch"] == EPOCHS - 1):
        return  # it was stopped after its last epoch: there is nothing to resume
    model = YOLO(last if resumed else tiny_yolo(folder))
    set_ = folder.parent / "made" / "data.yaml"
    model.add_callback("on_train_epoch_end", lambda trainer: write_norms(trainer, folder))
    settings = {"resume": True} if resumed else {"data": str(set_), "project": str(folder), **OFFLINE, "epochs": EPOCHS}
    model.train(trainer=with_method(model, WRS), **settings)


def write_norms(trainer: Any, folder: Path) -> None:
    from ultralytics.utils.torch_utils import unwrap_model

    if trainer.epoch + 1 < trainer.epochs:
        return
    weights = (unwrap_model(trainer.model).get_parameter(name) for name in trainer.handle.targets)
    unit = all(torch.allclose(w.flatten(1).norm(dim=1), torch.ones(len(w)), atol=1e-5) for w in weights)
    torch.save({"updates": trainer.handle.updates, "unit norms": unit}, folder / "end.pth")


def preparation(folder: Path) -> None:
    raw = str(folder.parent / "made")
    out = [raw, str(folder / "out"), "--any-counts", "--val", "2", "--sides", "80", "96", "--workers", "2"]
    if prepare_qnrf.main(out):
        raise OSError("the preparation did not end well")


def make_crowds(folder: Path) -> None:
    make_mini_set("crowd", folder, train=14, val=4, size=64)


def comparison(folder: Path) -> None:
    """Two cells of a comparison: train, test the best checkpoint, write the result."""
    config = str(folder.parent / "made" / "config.py")
    table = Comparison("killed", "t", "mm", {"WRS": {}}, {"score": "score"}, config=config, seeds=(0, 1))
    if work(table, folder, train_cell):
        raise RuntimeError("a cell failed")


def make_config(folder: Path) -> None:
    folder.mkdir()
    data = {**loader(shuffle=True), "dataset": {"type": "NoisyToys"}}
    (folder / "config.py").write_text(
        f"""
custom_imports = dict(imports=["normreg_plugins", "research.campaigns.victims"])
model = dict(type="DroppingNet")
train_dataloader = {data!r}
val_dataloader = test_dataloader = {loader()!r}
val_evaluator = test_evaluator = dict(type="MeanScore")
train_cfg, val_cfg, test_cfg = dict(by_epoch=True, max_epochs=3), dict(), dict()
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9),
    constructor="NormRegOptimWrapperConstructor", regularizer=dict(type="WRS", interval=4))
default_hooks = dict(
    logger=None, timer=None, checkpoint=dict(type="NormRegCheckpointHook", save_best="score", rule="less"))
visualizer = dict(type="Visualizer", vis_backends=[])
log_level = "WARNING"
"""
    )


RESULTS = ("net", "state_dict", "optimizer", "updates", "unit norms")


def tensors(name: str) -> Callable[[Path], dict[str, Any]]:
    """The weights and the optimizer of a checkpoint."""

    def read(folder: Path) -> dict[str, Any]:
        saved = torch.load(folder / name, weights_only=False)
        return flat({key: saved[key] for key in RESULTS if key in saved})

    return read


def flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for part, inner in items for key, leaf in flat(inner, f"{name}/{part}").items()}
    return {name: value}


def files(*ignored: str) -> Callable[[Path], dict[str, Any]]:
    """Every file of a folder, by its bytes, without what a killed process left named as unfinished."""

    def read(folder: Path) -> dict[str, Any]:
        found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if not p.name.startswith(".unfinished")}
        return {n: p.read_bytes() for n, p in found.items() if p.is_file() and not n.startswith(ignored)}

    return read


def scores(folder: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text())["test"] for path in folder.glob("*/result.json")}


VICTIMS = {
    "plain": Victim(plain, tensors("checkpoint.pth"), ("checkpoint.pth",)),
    "mm by epoch": Victim(mm_run(True), tensors("epoch_5.pth"), ("*.pth",)),
    "mm by iteration": Victim(mm_run(False), tensors("iter_30.pth"), ("*.pth",)),
    "ultralytics": Victim(
        ultralytics_run, tensors("end.pth"), ("*/weights/*.pt",), lambda folder: make_set(folder, "detect")
    ),
    "preparation": Victim(preparation, files(), make=make_crowds),
    "comparison": Victim(comparison, scores, ("*/*.pth", "*/result.json"), make_config),
}
