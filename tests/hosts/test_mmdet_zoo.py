"""Detectors of mmdet's zoo, from their stock configs: structure, trace and numbers agree, and WRS takes a step."""

import copy
import warnings
from pathlib import Path

import pytest
import torch

mmdet = pytest.importorskip("mmdet")
from mmdet.registry import MODELS  # noqa: E402
from mmdet.testing import demo_mm_inputs  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant  # noqa: E402
from normreg_plugins.core.errors import SelectionError  # noqa: E402

pytestmark = [pytest.mark.mm, pytest.mark.slow]
CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
BLIND = ("invariant", "compensated")

PROVEN = {  # small enough to be proven by numbers in seconds; the side of the images
    "yolox/yolox_tiny_8xb8-300e_coco.py": 64,
    "rtmdet/rtmdet_tiny_8xb32-300e_coco.py": 64,
    "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py": 64,
    "centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py": 64,
}
SEEN = {
    "yolo/yolov3_d53_8xb8-ms-608-273e_coco.py": 64,
    "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py": 64,
    "retinanet/retinanet_r18_fpn_1x_coco.py": 64,
    "retinanet/retinanet_r50-caffe_fpn_1x_coco.py": 64,
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py": 64,
    "gn/mask-rcnn_r50_fpn_gn-all_2x_coco.py": 64,
    "gn+ws/faster-rcnn_r50_fpn_gn-ws-all_1x_coco.py": 64,
    "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py": 64,
    "atss/atss_r50_fpn_1x_coco.py": 64,
    "dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py": 64,
    "nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco.py": 128,
    "efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py": 64,
    "detr/detr_r50_8xb2-150e_coco.py": 64,
    "yolof/yolof_r50-c5_8xb8-1x_coco.py": 64,
    "hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py": 64,
    "vfnet/vfnet_r50_fpn_1x_coco.py": 64,
    "reppoints/reppoints-moment_r50_fpn-gn_head-gn_1x_coco.py": 64,
    "swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py": 64,
    "foveabox/fovea_r50_fpn_4xb4-1x_coco.py": 64,
    "dyhead/atss_r50_fpn_dyhead_1x_coco.py": 64,
}


def without_downloads(node):
    """No pretrained weights and no augmentation of batches, in place."""
    if isinstance(node, dict):
        for key in ("init_cfg", "pretrained", "batch_augments"):
            node.pop(key, None)
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        without_downloads(child)
    return node


def build(name):
    register_all_modules(init_default_scope=True)
    torch.manual_seed(0)
    return MODELS.build(without_downloads(Config.fromfile(CONFIGS / name).model)).train()


def training_forward(name, size):
    """The losses; for a proof also what the heads put out, which on few boxes the losses do not read everywhere."""
    shapes = [[3, size, size]] * 2
    packed = demo_mm_inputs(2, shapes, num_classes=5, with_mask="mask" in name, use_box_type=False)

    def forward(model):
        data = model.data_preprocessor(copy.deepcopy(packed), True)
        losses = model(**data, mode="loss")
        return (losses, model(**data, mode="tensor")) if name in PROVEN else losses

    return forward


def step_under_wrs(model, forward):
    """One update; every target ends on the sphere."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the structure could not tell is left alone, and said
        handle = attach(optimizer, model, WeightRescaling(interval=1))
        losses = forward(model)
        losses, _ = model.parse_losses(losses[0] if isinstance(losses, tuple) else losses)
        losses.backward()
        optimizer.step()
    assert handle.updates == 1
    assert not handle.broken_filters
    for name in handle.targets[:: max(1, len(handle.targets) // 5)]:
        module = model.get_submodule(name.rpartition(".")[0])
        across = getattr(module, "transposed", False) and module.groups == 1
        lengths = (module.weight.transpose(0, 1) if across else module.weight).flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths[lengths > 0], torch.ones_like(lengths[lengths > 0]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", [*PROVEN, *SEEN])
def test_structure_agrees_with_the_trace_and_the_trace_with_numbers(name):
    size = {**PROVEN, **SEEN}[name]
    model, forward = build(name), training_forward(name, size)
    promised, seen = find_scale_invariant(model), find_scale_invariant(model, forward)
    differ = [
        (p.name, p.kind, s.kind, s.reason) for p, s in zip(promised, seen) if p.kind in BLIND and p.kind != s.kind
    ]
    assert not differ
    if name in PROVEN:
        proven = prove_scale_invariant(model, forward)
        assert not [(s, p.kind, p.reason) for s, p in zip(seen, proven) if s.kind != p.kind]
    if promised.of(*BLIND):
        step_under_wrs(model, forward)
    else:
        with pytest.raises(SelectionError, match="finds no weight to act on"):
            attach(torch.optim.SGD(model.parameters(), lr=1e-4), model, WeightRescaling())
