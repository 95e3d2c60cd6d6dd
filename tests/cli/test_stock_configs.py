"""`--method` and `inspect` on configs of mmdet, mmseg and mmpretrain as they come, with few classes."""

import logging
import re
from importlib import import_module
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest
import torch

pytest.importorskip("mmengine")

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DATASETS

from normreg_plugins.cli import mm_runs
from normreg_plugins.cli.drawn_batch import BATCHES
from normreg_plugins.cli.preflight.check import mappings_in
from normreg_plugins.core.model import filters_of
from normreg_plugins.hosts.mmengine.config import read_config
from normreg_plugins.hosts.mmengine.method_hook import handles_of

SIDE = 64


class Stock(NamedTuple):
    scope: str
    config: str
    classes: int = 1
    changes: dict | None = None
    """What is smaller than in the config, to save time."""


THIN = {"model.backbone.base_channels": 8, "model.backbone.stem_channels": 8}
THIN_FPN = {**THIN, "model.neck.in_channels": [32, 64, 128, 256]}
THIN_DETR = {
    **THIN,
    "model.neck.in_channels": [64, 128, 256],
    "model.encoder.num_layers": 1,
    "model.decoder.num_layers": 1,
}
THIN_UNET = {
    "model.backbone.base_channels": 8,
    "model.decode_head.in_channels": 8,
    "model.auxiliary_head.in_channels": 16,
}
MIXUP = {"model.train_cfg": {"augments": [{"type": "Mixup", "alpha": 0.8}]}}
STOCK = [
    Stock("mmdet", "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco"),
    Stock("mmdet", "yolox/yolox_tiny_8xb8-300e_coco"),
    Stock("mmdet", "rtmdet/rtmdet_tiny_8xb32-300e_coco"),
    Stock("mmdet", "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco"),
    Stock("mmdet", "centernet/centernet_r18_8xb16-crop512-140e_coco"),
    Stock("mmdet", "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco"),
    Stock("mmdet", "retinanet/retinanet_r18_fpn_1x_coco", 3),
    Stock("mmdet", "faster_rcnn/faster-rcnn_r50_fpn_1x_coco", 1, THIN_FPN),
    Stock("mmdet", "mask_rcnn/mask-rcnn_r50_fpn_1x_coco", 1, THIN_FPN),
    Stock("mmdet", "tood/tood_r50_fpn_1x_coco", 2, THIN_FPN),
    Stock("mmdet", "deformable_detr/deformable-detr_r50_16xb2-50e_coco", 1, THIN_DETR),
    Stock("mmseg", "unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128", 1, THIN_UNET),
    Stock("mmseg", "deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Stock("mmseg", "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024", 2),
    Stock("mmseg", "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024", 2),
    Stock("mmseg", "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024", 2),
    Stock("mmpretrain", "resnet/resnet18_8xb32_in1k", 1, {**MIXUP, "data_preprocessor.num_classes": 1}),
    Stock("mmpretrain", "mobilenet_v3/mobilenet-v3-small_8xb128_in1k", 2),
    Stock("mmpretrain", "shufflenet_v2/shufflenet-v2-1x_16xb64_in1k", 2),
    Stock("mmpretrain", "simclr/simclr_resnet50_8xb32-coslr-200e_in1k", 2, {**THIN, "model.neck.in_channels": 256}),
]


@DATASETS.register_module()
class DrawnSamples(torch.utils.data.Dataset):
    """The two samples that `inspect` draws for a config."""

    metainfo: ClassVar[dict] = {}

    def __init__(self, config, pipeline):  # the pipeline only tells how many views a picture has
        cfg = Config.fromfile(config)
        self._batch = BATCHES[cfg.default_scope](cfg, SIDE)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        inputs = self._batch["inputs"]
        views = inputs[0].dim() == 4
        return {
            "inputs": [view[index] for view in inputs] if views else inputs[index],
            "data_samples": self._batch["data_samples"][index],
        }


def set_everywhere(node, **values):
    """Replace these settings wherever a part of a config has them."""
    if isinstance(node, dict):
        node.update({name: value for name, value in values.items() if name in node})
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        set_everywhere(child, **values)


def prepared(case, folder):
    """The config with these classes, drawn pictures, two updates and no downloads."""
    stock = Path(import_module(case.scope).__file__).parent / ".mim" / "configs"
    cfg = Config.fromfile(stock / f"{case.config}.py")
    few = {"nms_pre": 50, "num": 16}  # proposals, and those of them that heads are trained on
    set_everywhere(cfg.model, num_classes=case.classes, init_cfg=None, pretrained=None, size=(SIDE, SIDE), **few)
    cfg.merge_from_dict(case.changes or {})
    file = folder / "stock.py"
    loader = {"batch_size": 2, "num_workers": 0, "sampler": {"type": "DefaultSampler", "shuffle": False}}
    if case.scope == "mmpretrain":
        loader["collate_fn"] = {"type": "default_collate"}
    views = [part for _, part in mappings_in(cfg.train_dataloader, "") if "num_views" in part]
    cfg.train_dataloader = {**loader, "dataset": {"type": "DrawnSamples", "config": str(file), "pipeline": views}}
    for phase in ("val", "test"):
        for part in ("dataloader", "evaluator", "cfg"):
            cfg[f"{phase}_{part}"] = None
    cfg.train_cfg, cfg.param_scheduler = {"type": "IterBasedTrainLoop", "max_iters": 2}, None
    cfg.default_hooks.checkpoint = None
    cfg.custom_hooks = [hook for hook in cfg.get("custom_hooks", []) if "Switch" not in hook.type]  # of pipelines
    cfg.experiment_name, cfg.work_dir = case.config.split("/")[-1], str(folder / "work")
    cfg.dump(file)
    return file


@pytest.fixture
def runners(monkeypatch):
    """The runners that the command builds."""
    built, build = [], mm_runs.build_runner
    monkeypatch.setattr(mm_runs, "build_runner", lambda cfg: built.append(build(cfg)) or built[-1])
    return built


@pytest.mark.mm
@pytest.mark.parametrize("case", STOCK, ids=lambda case: case.config.split("/")[-1])
def test_a_stock_config_trains_with_a_method_of_the_command_line_and_inspect_shows_it_before(
    case, tool, runners, tmp_path
):
    pytest.importorskip(case.scope)
    config = prepared(case, tmp_path)
    trained = tool("train.py", config, "--method", "WRS", "interval=2")
    assert trained.returncode == 0, trained.stderr
    (handle,) = handles_of(runners[0])
    assert (handle.updates, handle.method.interval) == (2, 2)
    for name in handle.targets:
        layer = runners[0].model.get_submodule(name.removesuffix(".weight"))
        norms = filters_of(layer).norms(layer.weight.detach())
        if layer.weight.requires_grad:
            torch.testing.assert_close(norms[norms > 0], torch.ones_like(norms[norms > 0]), rtol=3e-5, atol=0)
    shown = tool("inspect_model.py", config, "--no-prove", "--method", "WRS", "interval=2")
    logging.disable(logging.NOTSET)  # the command switches it off
    assert shown.returncode == 0, shown.stderr
    assert "No drawn batch" not in shown.stderr
    (count,) = re.findall(r"WeightRescaling\(interval=2\) would act on (\d+) weights", shown.stdout)
    assert int(count) >= len(handle.targets) > 0  # a traced forward shows norm layers that are registered elsewhere


@pytest.mark.mm
def test_a_base_of_mmseg_is_found_in_each_of_its_distributions(tmp_path, monkeypatch):
    monkeypatch.setitem(MODULE2PACKAGE, "mmseg", "mmsegmentation")  # as mmengine has it
    (tmp_path / "mine.py").write_text('_base_ = "mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"')
    assert read_config(tmp_path / "mine.py").model.type == "EncoderDecoder"
