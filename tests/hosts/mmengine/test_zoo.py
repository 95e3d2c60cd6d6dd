"""Nets of mmdet, mmseg and mmpretrain, from configs: structure, trace and numbers agree, and WRS keeps the function."""

import copy
import warnings
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmengine")

from helpers.config_keys import CONFIGS
from helpers.gradients import worst_share
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import PixelData

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.core.errors import SelectionError, StructureMismatchError
from normreg_plugins.core.model import filters_of

BLIND = ("invariant", "compensated")


@dataclass
class Case:
    scope: str
    config: str
    model: dict = field(default_factory=dict)
    """What is smaller than in the config, to save time."""
    size: int = 64
    invariant: int | None = None
    """The weights whose scale one norm layer takes away, where they are counted."""
    finer: dict = field(default_factory=dict)
    """Patterns of weights that numbers call by another kind than the trace does; the methods leave both alone."""
    missed: tuple | None = ()
    """Patterns of invariant weights that the structure alone does not tell; None for any."""
    refused: bool = False
    """The structure alone promises something that the first forward contradicts."""


def detector(config, **options):
    return Case("mmdet", config, missed=None, **options)


def classifier(config, invariant, backbone, channels=None, **options):
    head = {"num_classes": 10, **({"in_channels": channels} if channels else {})}
    return Case("mmpretrain", config, {"backbone": backbone, "head": head}, invariant=invariant, **options)


DETECTORS = [
    detector("ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco"),
    detector("centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco"),
    detector("yolo/yolov3_mobilenetv2_8xb24-320-300e_coco"),
]

# An addition between the layer and its norm: numbers see that it changes, the trace sees both readers.
LEAKS = ("unsafe", "free")
# Scaled with its bias as a whole, a layer before ReLU and another layer scales what the norm behind that takes away.
THROUGH_LAYERS = ("free", "per_layer")
SPP = {"backbone.spp.scales.0.conv.weight": LEAKS, "backbone.spp.processes.*.conv.weight": LEAKS}
SEGMENTERS = [
    Case("mmseg", "deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Case(
        "mmseg",
        "sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024",
        # The topmost lateral convolution is added to all levels below, and a norm behind one of them is blind to it.
        finer={"neck.fpn_convs.*": THROUGH_LAYERS, "neck.lateral_convs.3.*": ("free", "unsafe")},
    ),
    Case("mmseg", "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512"),
    Case(
        "mmseg",
        "erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024",
        finer={"*.convs_layers.*": THROUGH_LAYERS},
        missed=("backbone.encoder.[017].conv.weight",),
    ),
    Case(
        "mmseg",
        "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680",
        finer={"backbone.level?.0.bottleneck.weight": LEAKS},
        missed=("*.f_loc.weight", "*.f_sur.weight"),
    ),
    Case(
        "mmseg",
        "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes",
        finer=SPP,
        missed=("decode_head.[pd]_head.conv.conv.weight",),
        refused=True,
    ),
]

NARROW = {"stem_channels": 8, "base_channels": 8}
PREACTIVATED = {"depth": 16, "width": 2, "block": "preactivated"}
SE_RESNET = {"type": "SEResNet", "se_ratio": 4, "base_channels": 8}
# Batch norm also takes away what BWN, which sees a whole weight, leaves.
BWN_CONV = {"conv_cfg": {"type": "NormRegBWNConv2d"}}
BWN = {"backbone.*": ("per_layer", "invariant")}
CLASSIFIERS = [
    classifier("vgg16bn_wd_cifar10", 13, {}, size=32),
    classifier("resnet18_wd_cifar10", 20, {**NARROW, "conv_cfg": {"type": "NormRegWSConv2d"}}, 64, size=32),
    classifier("resnet18_wd_cifar10", 0, NARROW | BWN_CONV, 64, size=32, finer=BWN),
    classifier("resnet18_wd_cifar10", 0, NARROW | BWN_CONV | {"norm_cfg": {"type": "NormRegMeanOnlyBN"}}, 64, size=32),
    classifier("wrn28_10_wd_tinyimagenet", 7, PREACTIVATED, 128, size=32, missed=("backbone.conv1.weight",)),
    classifier("resnet110_wd_cifar10", 19, {"depth": 20}, size=32),
    classifier("resnet50_wd_imagenet", 53, SE_RESNET, 256),
]


def without_downloads(node):
    """No pretrained weights and no augmentation of batches, in place."""
    if isinstance(node, dict):
        for key in ("init_cfg", "pretrained", "batch_augments"):
            node.pop(key, None)
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        without_downloads(child)


def build(case):
    stock = Path(import_module(case.scope).__file__).parent / ".mim" / "configs"
    folder = CONFIGS / "classification" if case.scope == "mmpretrain" else stock
    config = Config.fromfile(folder / f"{case.config}.py")
    config.merge_from_dict({"model": case.model})
    without_downloads(config.model)
    if case.scope == "mmseg":
        config.model.data_preprocessor.size = (case.size, case.size)
    import_module(f"{case.scope}.utils").register_all_modules(init_default_scope=True)
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    for module in model.modules():
        if type(module).__name__ == "DropPath":
            module.drop_prob = 0.0  # numbers cannot speak of a branch that chance left out
    return model


def batch_for(case):
    generator = torch.Generator().manual_seed(1)
    side = case.size
    if case.scope == "mmdet":
        from mmdet.testing import demo_mm_inputs

        packed = demo_mm_inputs(2, [[3, side, side]] * 2, num_classes=5, use_box_type=False)
        packed["inputs"][1] //= 4  # noise is the same everywhere once it is pooled: a darker picture differs even there
        return packed
    count = 2 if case.scope == "mmseg" else 4
    images = [torch.randint(0, 256, (3, side, side), generator=generator).float() for _ in range(count)]
    if case.scope == "mmpretrain":
        from mmpretrain.structures import DataSample

        return {"inputs": images, "data_samples": [DataSample().set_gt_label(label) for label in range(count)]}
    from mmseg.structures import SegDataSample

    samples = [SegDataSample(metainfo=dict.fromkeys(("img_shape", "ori_shape", "pad_shape"), (side, side)))] * count
    samples = copy.deepcopy(samples)
    for sample in samples:
        for name in ("gt_sem_seg", "gt_edge_map"):  # some models learn edges
            setattr(sample, name, PixelData(data=torch.randint(0, 2, (1, side, side), generator=generator)))
    return {"inputs": images, "data_samples": samples}


def training_forward(case):
    """The losses, and the scores of the heads, which losses do not read everywhere."""
    batch = batch_for(case)
    modes = ["loss"] if case.scope == "mmseg" else ["loss", "tensor"]

    def forward(model):
        scores = []
        heads = [module for name, module in model.named_modules() if name.endswith("conv_seg")]
        hooks = [head.register_forward_hook(lambda _module, _args, output: scores.append(output)) for head in heads]
        try:
            data = model.data_preprocessor(copy.deepcopy(batch), True)
            return [model(**data, mode=mode) for mode in modes] + scores
        finally:
            for hook in hooks:
                hook.remove()

    return forward


MARKS = {"mmdet": [pytest.mark.mm, pytest.mark.slow], "mmseg": [pytest.mark.mm], "mmpretrain": [pytest.mark.mmpretrain]}


@pytest.fixture(
    params=[pytest.param(case, marks=MARKS[case.scope]) for case in (*DETECTORS, *SEGMENTERS, *CLASSIFIERS)],
    ids=lambda case: f"{case.scope}-{case.config.split('/')[-1]}",
    scope="module",
)
def zoo(request):
    """A case, its model in training mode with statistics of two batches, its forward, and what is seen of it."""
    case = request.param
    pytest.importorskip(case.scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the hosts', of old options in their configs
        model = build(case)
        forward = training_forward(case)
        forward(model)
        forward(model)
        return case, model, forward, find_scale_invariant(model, forward)


def matching(patterns, name):
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def test_the_verdicts_are_the_numeric_truth(zoo):
    case, model, forward, seen = zoo
    if case.invariant is not None:
        assert len(seen.of("invariant")) == case.invariant
    for verdict, proven in zip(seen, prove_scale_invariant(model, forward), strict=True):
        allowed = {(verdict.kind, verdict.kind), case.finer.get(matching(case.finer, verdict.name))}
        assert (verdict.kind, proven.kind) in allowed, f"{verdict} but {proven}"


def test_the_structure_tells_the_same_but_for_what_is_named(zoo):
    case, model, forward, seen = zoo
    told = find_scale_invariant(model)
    pairs = list(zip(told, seen, strict=True))
    assert all(t.name == s.name for t, s in pairs)
    assert case.refused or not [(t, s) for t, s in pairs if t.kind in BLIND and t.kind != s.kind]
    if case.missed is not None:
        missed = [s.name for t, s in pairs if t.kind != "invariant" and s.kind == "invariant"]
        assert {matching(case.missed, name) for name in missed} == {*case.missed}, missed
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if not told.of(*BLIND):
        with pytest.raises(SelectionError, match="finds no weight to act on"):
            attach(optimizer, model, WeightRescaling())
        return
    with warnings.catch_warnings(), attach(optimizer, model, WeightRescaling()):
        warnings.simplefilter("ignore")  # of the weights it misses
        if case.refused:
            with pytest.raises(StructureMismatchError):
                forward(model)
        else:
            forward(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_gradients_of_the_first_update_cause_no_false_alarm(zoo, dtype):
    case, model, forward, seen = zoo
    if dtype is torch.bfloat16 and "dcn" in case.config:
        return  # deformable convolutions have no such kernel on a CPU
    if any(model.get_parameter(v.name).requires_grad for v in seen.of(*BLIND)):
        assert worst_share(copy.deepcopy(model), forward, dtype) < 0.5


def test_a_step_of_wrs_gives_unit_filters_and_leaves_the_evaluated_function(zoo):
    case, model, forward, seen = zoo
    model = copy.deepcopy(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.0)  # so that WRS alone changes weights
    expected = {v.name for v in seen.of(*BLIND) if model.get_parameter(v.name).requires_grad}
    if not expected:
        with pytest.raises(SelectionError, match="finds no weight to act on"):
            attach(optimizer, model, WeightRescaling(interval=1), forward=forward)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dead filters
        handle = attach(optimizer, model, WeightRescaling(interval=1), forward=forward)
        model.parse_losses(forward(model)[0])[0].backward()
        before = evaluated(case, model)
        optimizer.step()
    assert {*handle.targets} == expected
    assert (handle.updates, handle.broken_filters) == (1, {})
    for name in handle.targets:
        layer = model.get_submodule(name.removesuffix(".weight"))
        norms = filters_of(layer).norms(layer.weight.detach())
        torch.testing.assert_close(norms[norms > 0], torch.ones_like(norms[norms > 0]), rtol=1e-5, atol=0)
    assert (evaluated(case, model) - before).norm() <= 1e-4 * before.norm()


@torch.no_grad()
def evaluated(case, model):
    if case.scope == "mmdet":  # deeper, on statistics of two small pictures: rounding alone may be larger
        return torch.zeros(())
    images = torch.linspace(-2, 2, 2 * 3 * case.size**2).view(2, 3, case.size, case.size)
    output = model.eval()(images, mode="tensor")
    model.train()
    return (output[-1] if isinstance(output, list | tuple) else output).clone()
