"""One training forward on a drawn batch: two random pictures with random targets, as a model's task needs them.

The labels are classes of every head, and the pictures are as small as the model accepts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch import Tensor, nn

from normreg_plugins.cli.preflight.check import mappings_in
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.verdicts.find import Forward

SMALL = 64
"""The side of a drawn picture, where the model accepts it."""
LARGE = 256
"""The side for models that do not, unless the config names their input size."""


class NotDrawnError(NormRegError):
    """A model that cannot train on a drawn batch."""


def drawn_forward(model: nn.Module, cfg: Config, side: int) -> Forward:
    """A training forward on two pictures of this size. It returns the losses and the outputs of the heads.

    It raises NotDrawnError if the model fails on them.
    """
    batch = drawn_batch(model, cfg, side)
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    if getattr(preprocessor, "size", None):  # mmseg's pads to the size of real pictures
        preprocessor.size = (side, side)
    MessageHub.get_current_instance().update_info("epoch", 0)  # heads whose loss changes with the epoch ask for it
    one_stage = "roi_head" not in cfg.model and batch["inputs"][0].dim() == 3

    def forward(model: Any) -> Any:
        try:
            data = model.data_preprocessor(copy.deepcopy(batch), True)
            losses = model(**data, mode="loss")
        except Exception as error:  # a model of another package may raise anything
            text = str(error).strip().partition("\n")[0]
            raise NotDrawnError(f"pictures of {side} x {side} pixels: {type(error).__name__}: {text}") from error
        return (losses, _heads(model, data)) if one_stage else losses

    return forward


def _heads(model: Any, data: dict[str, Any]) -> Any:
    """The outputs of the heads; nothing if the model cannot give them without losses, as some DETR of mmdet."""
    try:
        return model(**data, mode="tensor")
    except Exception:  # of another package, again
        return ()


def drawn_batch(model: nn.Module, cfg: Config, side: int) -> dict[str, Any]:
    """Two random pictures with targets, before the model's data preprocessor."""
    packages = (each.__module__.partition(".")[0] for each in type(model).__mro__)
    package = next((name for name in packages if name in BATCHES), None)
    if package is None:
        raise NotDrawnError(f"{type(model).__name__}: batches are drawn for models of {', '.join(BATCHES)}")
    return BATCHES[package](cfg, side)


def classes_of(cfg: Config) -> int:
    """The number of classes that every head of the model has."""
    named = (*_numbers(cfg.model, "num_classes"), *_numbers(cfg.model, "num_things_classes"))
    return min((number for number in named if number > 0), default=2)


def sides_of(cfg: Config) -> tuple[int, int]:
    """The sides of pictures to try: a small one, then the model's own input size."""
    padded = _numbers(cfg.model.get("data_preprocessor"), "size")
    return SMALL, min((*_numbers(cfg.model, "input_size"), *_numbers(cfg.model, "img_size"), *padded), default=LARGE)


def _numbers(settings: Any, name: str) -> Iterator[int]:
    """The whole numbers of this name anywhere in a part of a config."""
    for _, node in mappings_in(settings, ""):
        value = node.get(name)
        yield from (each for each in (value if isinstance(value, list | tuple) else [value]) if type(each) is int)


def _pictures(side: int) -> list[Tensor]:
    first, second = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    return [first, second // 4]  # noise is the same everywhere once it is pooled: a darker picture differs even there


def _detection_batch(cfg: Config, side: int) -> dict[str, Any]:
    from mmdet.testing import demo_mm_inputs

    classes, masks = classes_of(cfg), "mask" in str(cfg.model)
    shapes = [[3, side, side]] * 2
    batch = demo_mm_inputs(2, shapes, num_classes=classes + 1, with_mask=masks, with_semantic=masks)
    for sample in batch["data_samples"]:
        sample.gt_instances.labels -= 1  # mmdet draws 1 to classes
        if masks:
            sample.gt_sem_seg.sem_seg %= classes
    return {**batch, "inputs": _pictures(side)}


def _segmentation_batch(cfg: Config, side: int) -> dict[str, Any]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    def sample() -> Any:
        drawn = SegDataSample(metainfo=dict.fromkeys(("img_shape", "ori_shape", "pad_shape"), (side, side)))
        drawn.gt_sem_seg = PixelData(data=torch.randint(0, classes_of(cfg), (1, side, side)))
        drawn.gt_edge_map = PixelData(data=torch.randint(0, 2, (1, side, side)))  # some models learn edges
        return drawn

    return {"inputs": _pictures(side), "data_samples": [sample(), sample()]}


def _classification_batch(cfg: Config, side: int) -> dict[str, Any]:
    from mmpretrain.structures import DataSample

    labels = torch.arange(2) % classes_of(cfg)
    samples = [DataSample().set_gt_label(label) for label in labels]
    views = sum(_numbers(cfg.get("train_dataloader"), "num_views"))
    if not views:
        return {"inputs": _pictures(side), "data_samples": samples}
    stacks = [torch.stack(_pictures(side)) for _ in range(views)]  # one for each view, as mm collates them
    return {"inputs": stacks, "data_samples": samples}


def _crowd_batch(_: Config, side: int) -> dict[str, Any]:
    from normreg_plugins.hosts.mmengine.crowd import CrowdSample

    metainfo = {"img_shape": (side, side), "shorter_side": side}
    points = torch.rand(2, 5, 2) * side
    samples = [CrowdSample(metainfo=metainfo, points=each, targets=torch.ones(5)) for each in points]
    return {"inputs": list(torch.rand(2, 3, side, side)), "data_samples": samples}


BATCHES: dict[str, Callable[[Config, int], dict[str, Any]]] = {
    "mmdet": _detection_batch,
    "mmseg": _segmentation_batch,
    "mmpretrain": _classification_batch,
    "normreg_plugins": _crowd_batch,
}
"""What draws a batch, by the package of the model."""
