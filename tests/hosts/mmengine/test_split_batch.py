"""Ranks that share a protocol's batch make the updates that one rank makes with the whole batch."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from helpers.processes import on_ranks
from mmdet.models.backbones import Darknet
from mmdet.models.losses import MSELoss
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

import normreg_plugins.hosts.mmengine  # noqa: F401  (it registers what the configs name)
from normreg_plugins.cli.preflight.total_batch import adopt_variant, split_batch
from normreg_plugins.crowd.network import csrnet
from normreg_plugins.hosts.mmengine.crowd import CrowdSample
from normreg_plugins.layers import ScaleBias

pytestmark = pytest.mark.mm
CONFIGS = Path(__file__).resolve().parents[3] / "configs"
SIDE, IMAGES = 32, 8
COMPARED, ALL = 3, 8  # updates


@MODELS.register_module()
class NarrowDarknet(Darknet):
    """mmdet's Darknet with one block in each stage, and few channels."""

    arch_settings: ClassVar = {53: ((1, 1, 1, 1, 1), ((32, 8), (8, 8), (8, 16), (16, 16), (16, 16)))}


@MODELS.register_module()
class Float64MSELoss(MSELoss):
    """mmdet's targets are float32. Its cross entropy takes them beside float64; the gradient of its MSE does not."""

    def forward(self, pred: Tensor, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return super().forward(pred, target.to(pred), *args, **kwargs)


def small_config(task: str, method: str) -> Config:
    """configs/TASK_METHOD.py for 8 images in an update, few channels and no pretrained weights."""
    task, _, variant = task.partition(" ")
    cfg = Config.fromfile(CONFIGS / f"{task}_{method}.py")
    cfg.train_dataloader.batch_size = IMAGES
    cfg.auto_scale_lr.update(base_batch_size=IMAGES, written_for=IMAGES)
    cfg.model.pop("data_preprocessor")
    if task == "yolov3":
        cfg.model.backbone.update(type="NarrowDarknet", init_cfg=None)
        cfg.model.neck.update(in_channels=[16, 16, 16], out_channels=[16, 16, 16])
        cfg.model.bbox_head.update(in_channels=[16, 16, 16], out_channels=[16, 16, 16], num_classes=3)
        cfg.model.bbox_head.loss_wh.type = "Float64MSELoss"
    elif task == "deeplabv3":
        cfg.model.backbone.update(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
        cfg.model.decode_head.update(in_channels=64, channels=8, num_classes=4, dropout_ratio=0)
    else:
        cfg.model.init_cfg = None
    if "regularizer" in cfg.optim_wrapper and "interval" in cfg.optim_wrapper.regularizer:
        cfg.optim_wrapper.regularizer.interval = 2
    if variant:  # of a protocol of 5 images, which one GPU alone can train
        cfg.auto_scale_lr.update(base_batch_size=5, written_for=5)
        cfg.auto_scale_lr.variant["train_dataloader.batch_size"] = IMAGES
        adopt_variant(cfg, IMAGES)
    return cfg


def batch_of(task: str, update: int) -> tuple[Tensor, list[Any]]:
    """Eight images and what is in them, the same in every process."""
    generator = torch.Generator().manual_seed(update)
    images = torch.rand(IMAGES, 3, SIDE, SIDE, generator=generator)
    samples: list[Any] = []
    for _ in range(IMAGES):
        corners = torch.rand(2, 2, generator=generator) * SIDE / 2
        if task == "yolov3":
            shapes = ("img_shape", "pad_shape", "batch_input_shape")
            sample = DetDataSample(metainfo=dict.fromkeys(shapes, (SIDE, SIDE)))
            sizes = torch.rand(2, 2, generator=generator) * SIDE / 3 + 4
            labels = torch.randint(3, (2,), generator=generator)
            sample.gt_instances = InstanceData(bboxes=torch.cat([corners, corners + sizes], 1).float(), labels=labels)
        elif task.startswith("deeplabv3"):
            sample = SegDataSample(metainfo={"img_shape": (SIDE, SIDE)})
            sample.gt_sem_seg = PixelData(data=torch.randint(4, (1, SIDE, SIDE), generator=generator))
        else:
            sample = CrowdSample(metainfo={"img_shape": (SIDE, SIDE), "shorter_side": SIDE})
            sample.points, sample.targets = corners, torch.ones(2)
        samples.append(sample)
    return images, samples


def updates_of(task: str, method: str, rank: int = 0, ranks: int = 1) -> Iterator[nn.Module]:
    """Train as `--split-batch` does; yield the model after each update."""
    cfg = small_config(task, method)
    init_default_scope(cfg.default_scope)
    split_batch(cfg, ranks)
    share = cfg.train_dataloader.batch_size
    torch.manual_seed(0)
    bare = MODELS.build(copy.deepcopy(cfg.model))
    bare.init_weights()
    bare.train()
    for module in bare.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # over whole batches only SyncBatchNorm normalizes, and it needs a GPU
    set_noise(bare, 0.0)
    model = bare if ranks == 1 else MMDistributedDataParallel(bare, broadcast_buffers=False)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for update in range(ALL):
        images, samples = batch_of(task, update)
        part = slice(rank * share, (rank + 1) * share)
        with wrapper.optim_context(model):
            losses = model(images[part], samples[part], mode="loss")
        loss, _ = bare.parse_losses(losses)
        wrapper.update_params(loss)
        yield bare


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def set_noise(model: nn.Module, sigma: float) -> None:
    for layer in model.modules():
        if isinstance(layer, ScaleBias):
            layer.sigma = sigma


TWO = [(task, method) for task in ("yolov3", "csrnet") for method in ("wrs", "pgd")] + [("deeplabv3 variant", "aws")]
FOUR = [("deeplabv3 variant", "wrs"), ("yolov3", "aws")]


def shared(rank: int, cases: list[tuple[str, str]], ranks: int) -> list[list[dict[str, Tensor]]]:
    """The weights after three updates and at the end. In between, each rank draws noise of its own."""
    found = []
    for task, method in cases:
        updates = updates_of(task, method, rank, ranks)
        model = next(islice(updates, COMPARED - 1, None))
        early = weights(model)
        set_noise(model, 0.2)
        (model,) = deque(updates, maxlen=1)
        found.append([early, weights(model)])
    return found


@pytest.fixture(autouse=True)
def _narrow_and_double(monkeypatch):
    """Few channels, and rounding far below every other difference."""
    for widths in (csrnet.FRONT, csrnet.BACK):
        for name, width in widths.items():
            monkeypatch.setitem(widths, name, max(width // 32, 4))
    MMLogger.get_instance("split", log_level="ERROR")
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("ranks", "cases"), [(2, TWO), (4, FOUR)], ids=["2 ranks", "4 ranks"])
def test_the_updates_are_those_of_one_rank_and_ranks_stay_equal_to_the_bit(ranks, cases):
    for case, (early, last), *others in zip(cases, *on_ranks(shared, cases, ranks, ranks=ranks), strict=True):
        unsplit = weights(next(islice(updates_of(*case), COMPARED - 1, None)))
        for name, weight in early.items():
            torch.testing.assert_close(weight, unsplit[name], rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
        assert any(not torch.equal(last[name], early[name]) for name in last), case
        assert all(torch.equal(other[name], weight) for _, other in others for name, weight in last.items()), case
