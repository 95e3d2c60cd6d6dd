"""Detectors of mmdet's zoo, from their stock configs: structure, trace and numbers agree, and WRS takes a step.

Numbers are asked for every verdict where that takes seconds. Elsewhere they are asked for every weight that the methods
touch, all scaled at once, and for those left alone that might be blind all the same: a gradient that is not orthogonal
to a filter shows that its weight is not (Lemma 3.1 of the WRS paper), so one backward pass rules nearly all others out.
"""

import copy
import warnings
from pathlib import Path

import pytest
import torch

mmdet = pytest.importorskip("mmdet")
from mmcv.cnn.bricks import DropPath  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmdet.testing import demo_mm_inputs  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.logging import MessageHub  # noqa: E402
from torch.utils._pytree import tree_flatten  # noqa: E402

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant  # noqa: E402
from normreg_plugins.core.errors import SelectionError  # noqa: E402
from normreg_plugins.core.model import (  # noqa: E402
    filters_of,
    layers_of,
    restored,
)
from normreg_plugins.core.verdicts.proof_forward import generic_point  # noqa: E402

pytestmark = [pytest.mark.mm, pytest.mark.slow]
CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
BLIND = ("invariant", "compensated")

PROVEN = {  # every verdict, by numbers; the side of the images
    "yolox/yolox_tiny_8xb8-300e_coco.py": 64,
    "rtmdet/rtmdet_tiny_8xb32-300e_coco.py": 64,
    "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py": 64,
    "centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py": 64,
    "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py": 64,
    "retinanet/retinanet_r18_fpn_1x_coco.py": 64,
}
TOUCHED = {  # every weight that is touched, and what might have been
    "yolo/yolov3_d53_8xb8-ms-608-273e_coco.py": 64,
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
    "tood/tood_r50_fpn_1x_coco.py": 64,
    "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py": 64,
    "guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py": 64,
    "pvt/retinanet_pvt-t_fpn_1x_coco.py": 64,
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
    MessageHub.get_current_instance().update_info("epoch", 0)  # TOOD asks for it
    torch.manual_seed(0)
    config = without_downloads(Config.fromfile(CONFIGS / name).model)
    for settings, part in (("train_cfg", "rpn_proposal"), ("test_cfg", "rpn")):
        proposals = (config.get(settings) or {}).get(part)
        if proposals:
            proposals.max_per_img = 20  # the same layers, sooner done
    model = MODELS.build(config).train()
    for module in model.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.0  # numbers cannot speak of a branch that chance left out
    return model


def training_forward(model, size):
    """The losses, and what the heads of one stage put out, which on few boxes the losses do not read everywhere."""
    masks = any("mask" in name for name, _ in model.named_modules())
    packed = demo_mm_inputs(2, [[3, size, size]] * 2, num_classes=5, with_mask=masks, use_box_type=False)
    packed["inputs"][1] //= 4  # noise is the same everywhere once it is pooled: a darker picture differs even there
    modes = ["loss"] if hasattr(model, "roi_head") else ["loss", "tensor"]

    def forward(model):
        data = model.data_preprocessor(copy.deepcopy(packed), True)
        return [model(**data, mode=mode) for mode in modes]

    return forward


def step_under_wrs(model, forward):
    """One update; every target ends on the sphere."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the structure could not tell is left alone, and said
        handle = attach(optimizer, model, WeightRescaling(interval=1))
        loss, _ = model.parse_losses(forward(model)[0])
        loss.backward()
        optimizer.step()
    assert handle.updates == 1
    assert not handle.broken_filters
    for name in handle.targets[:: max(1, len(handle.targets) // 5)]:
        module = model.get_submodule(name.rpartition(".")[0])
        across = getattr(module, "transposed", False) and module.groups == 1
        lengths = (module.weight.transpose(0, 1) if across else module.weight).flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths[lengths > 0], torch.ones_like(lengths[lengths > 0]), rtol=1e-4, atol=0)


def might_be_blind(model, forward):
    """The weights whose filters all have a gradient orthogonal to them, or none."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    model.requires_grad_(True)
    with restored(model), torch.no_grad(), generic_point(model), torch.enable_grad():
        outputs = [t for t in tree_flatten(forward(model))[0] if isinstance(t, torch.Tensor) and t.requires_grad]
        sum((t * torch.randn_like(t)).mean() for t in outputs).backward()
        found = [layer.name for layer in layers_of(model) if orthogonal(layer)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return found


def orthogonal(layer):
    filters, weight, gradient = filters_of(layer.module), layer.weight.detach(), layer.weight.grad
    if gradient is None:
        return True
    along = filters.view(weight * gradient).sum(filters.dims, keepdim=True).abs()
    return not (along > 1e-3 * filters.norms(weight) * filters.norms(gradient)).any()


@pytest.mark.parametrize("name", [*PROVEN, *TOUCHED])
def test_structure_agrees_with_the_trace_and_the_trace_with_numbers(name):
    model = build(name)
    forward = training_forward(model, {**PROVEN, **TOUCHED}[name])
    promised, seen = find_scale_invariant(model), find_scale_invariant(model, forward)
    differ = [
        (p.name, p.kind, s.kind, s.reason) for p, s in zip(promised, seen) if p.kind in BLIND and p.kind != s.kind
    ]
    assert not differ
    asked = {v.name for v in (seen if name in PROVEN else seen.of(*BLIND))}
    if name in TOUCHED:
        asked |= {*might_be_blind(model, forward)}
    proven = {v.name: v for v in prove_scale_invariant(model, forward, asked)} if asked else {}
    differ = [(s, proven[s.name]) for s in seen if s.name in asked and s.kind != proven[s.name].kind]
    # Numbers may tell more of what is left alone: a linear layer hands the scale of a whole layer on to a norm, say.
    assert not [pair for pair in differ if name in PROVEN or {verdict.kind for verdict in pair} & {*BLIND}]
    if promised.of(*BLIND):
        step_under_wrs(model, forward)
    else:
        with pytest.raises(SelectionError, match="finds no weight to act on"):
            attach(torch.optim.SGD(model.parameters(), lr=1e-4), model, WeightRescaling())
