"""Verdicts on mmseg's own models, against numbers: built from its own configs, on two images of 64 px.

Auxiliary heads, depthwise convolutions, several branches, SyncBN (which is BN in a single process), transformers.
"""

import copy
import warnings
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

pytest.importorskip("mmseg")

import mmseg
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.core.errors import StructureMismatchError
from normreg_plugins.core.model import filters_of

pytestmark = pytest.mark.mm
ROOT = Path(mmseg.__file__).parent / ".mim" / "configs"
SIZE = 64


@dataclass
class Case:
    config: str
    model: dict = field(default_factory=dict)
    """What is smaller than in the config, to save time."""
    finer: dict = field(default_factory=dict)
    """Patterns of weights that both sides leave alone, but numbers call by another kind than the trace does."""
    missed: tuple = ()
    """Patterns of invariant weights that the structure alone does not tell."""
    refused: bool = False
    """The structure alone promises something that the first forward contradicts."""


# An addition between the layer and its norm: numbers see that it changes, the trace sees both readers.
LEAKS = ("unsafe", "free")
# Scaled with its bias as a whole, a layer before ReLU and another layer scales what the norm behind that takes away.
THROUGH_LAYERS = ("free", "per_layer")
SPP = {"backbone.spp.scales.0.conv.weight": LEAKS, "backbone.spp.processes.*.conv.weight": LEAKS}
CASES = [
    Case("deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Case("deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Case("pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Case("fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Case("upernet/upernet_r18_4xb2-80k_cityscapes-512x1024"),
    Case("icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832"),
    Case("hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024"),
    Case("bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024"),
    Case("bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024"),
    Case("fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024"),
    Case("mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024"),
    Case("stdc/stdc1_4xb12-80k_cityscapes-512x1024"),
    Case(
        "unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128",
        {"backbone": {"base_channels": 16}, "decode_head": {"in_channels": 16}, "auxiliary_head": {"in_channels": 32}},
    ),
    Case(
        "sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024",
        # The topmost lateral convolution is added to all levels below, and a norm behind one of them is blind to it.
        finer={"neck.fpn_convs.*": THROUGH_LAYERS, "neck.lateral_convs.3.*": ("free", "unsafe")},
    ),
    Case("segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512"),
    Case(  # a path that is dropped for both images would show nothing
        "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
        {"backbone": {"depths": [1, 1, 1, 1], "drop_path_rate": 0.0}},
    ),
    Case(
        "erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024",
        finer={"*.convs_layers.*": THROUGH_LAYERS},
        missed=("backbone.encoder.[017].conv.weight",),
    ),
    Case(
        "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680",
        finer={"backbone.level?.0.bottleneck.weight": LEAKS},
        missed=("*.f_loc.weight", "*.f_sur.weight"),
    ),
    Case(
        "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes",
        finer=SPP,
        missed=("decode_head.[pd]_head.conv.conv.weight",),
        refused=True,
    ),
    Case(
        "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024",
        finer=SPP,
        missed=("decode_head.head.0.conv.weight",),
        refused=True,
    ),
]


def from_scratch(config):
    """Take every pretrained checkpoint out of a config."""
    if isinstance(config, dict):
        for key in ("init_cfg", "pretrained"):
            config.pop(key, None)
        config = config.values()
    if not isinstance(config, str):
        for part in config if hasattr(config, "__iter__") else ():
            from_scratch(part)


def build(case):
    config = Config.fromfile(ROOT / f"{case.config}.py")
    config.merge_from_dict({"model": case.model})
    from_scratch(config.model)
    config.model.data_preprocessor.size = (SIZE, SIZE)
    torch.manual_seed(0)
    init_default_scope("mmseg")
    return MODELS.build(config.model)


def batch():
    """Two images with random masks of two classes, and an edge map for the models that learn one."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict.fromkeys(("img_shape", "ori_shape", "pad_shape"), (SIZE, SIZE)))
        for name in ("gt_sem_seg", "gt_edge_map"):
            setattr(sample, name, PixelData(data=torch.randint(0, 2, (1, SIZE, SIZE), generator=generator)))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, SIZE, SIZE), generator=generator).float() for _ in range(2)]
    return {"inputs": images, "data_samples": samples}


def forward(model):
    """The training forward with all its losses; and each head's scores, in which a weak branch shows more clearly."""
    scores = []
    heads = [module for name, module in model.named_modules() if name.endswith("conv_seg")]
    hooks = [head.register_forward_hook(lambda _module, _args, output: scores.append(output)) for head in heads]
    try:
        losses = model(**model.data_preprocessor(copy.deepcopy(batch()), True), mode="loss")
    finally:
        for hook in hooks:
            hook.remove()
    return losses, scores


@pytest.fixture(params=CASES, ids=lambda case: case.config.split("/")[0], scope="module")
def zoo(request):
    """A case, its model in training mode with statistics of two batches, and what is seen of it."""
    case = request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mmseg's, of old options in its configs
        model = build(case).train()
        forward(model)
        forward(model)
    return case, model, find_scale_invariant(model, forward)


def matching(patterns, name):
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def test_the_verdicts_are_the_numeric_truth(zoo):
    case, model, verdicts = zoo
    assert len(verdicts.of("invariant")) > 4
    for seen, true in zip(verdicts, prove_scale_invariant(model, forward), strict=True):
        expected = case.finer.get(matching(case.finer, seen.name), (seen.kind, seen.kind))
        assert (seen.kind, true.kind) in {expected, (seen.kind, seen.kind)}, f"{seen} but {true}"


def test_the_structure_tells_the_same_but_for_what_is_named(zoo):
    case, model, verdicts = zoo
    told = find_scale_invariant(model)
    assert [verdict.name for verdict in told] == [verdict.name for verdict in verdicts]
    missed = [s.name for t, s in zip(told, verdicts, strict=True) if t.kind != "invariant" and s.kind == "invariant"]
    assert all(matching(case.missed, name) for name in missed), missed
    assert {matching(case.missed, name) for name in missed} == {*case.missed}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings(), attach(optimizer, model, WeightRescaling()):
        warnings.simplefilter("ignore")  # of the weights it misses
        if case.refused:
            with pytest.raises(StructureMismatchError):
                forward(model)
        else:
            forward(model)


def test_a_step_of_wrs_leaves_the_evaluated_function_and_unit_filters(zoo):
    _, model, verdicts = zoo
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # so that WRS alone changes weights
    handle = attach(optimizer, model, WeightRescaling(interval=1), forward=forward)
    assert set(handle.targets) == {verdict.name for verdict in verdicts.of("invariant", "compensated")}
    losses, _ = forward(model)
    sum(value for name, value in losses.items() if "loss" in name).backward()
    before = evaluated(model)
    optimizer.step()
    for name in handle.targets:
        layer = model.get_submodule(name.removesuffix(".weight"))
        norms = filters_of(layer).norms(layer.weight)
        torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-5, atol=0)
    after = evaluated(model)
    assert (after - before).norm() < 1e-4 * before.norm()


@torch.no_grad()
def evaluated(model):
    model.eval()
    images = torch.stack(batch()["inputs"]) / 64 - 2
    output = model(images, mode="tensor")
    model.train()
    return (output[-1] if isinstance(output, list | tuple) else output).clone()
