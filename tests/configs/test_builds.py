"""What the configs build: the hosts' own models, and optimizers whose method acts on the right weights."""

import importlib
import re
from pathlib import Path

import pytest
import torch
from helpers.config_keys import CONFIGS, config

pytestmark = pytest.mark.mm
MMPRETRAIN = pytest.mark.mmpretrain


def build(settings, part="model", device="meta"):
    """Meta tensors need no memory for 85 million weights."""
    from mmengine.registry import MODELS, init_default_scope

    importlib.import_module("normreg_plugins.hosts.mmengine")
    init_default_scope(settings.default_scope)
    model = settings.model if part == "model" else settings.model[part]
    with torch.device(device):
        return MODELS.build(model)


NORM_LAYERS, WEIGHTS = {"gammas", "betas"}, {"weights", "output"}
DECAYED = {
    "wd": {*WEIGHTS, "gammas"},  # section VI-A of the WRS paper
    "adamp": {*WEIGHTS, "gammas"},
    "wrs": NORM_LAYERS,  # Algorithm 1, line 7
    "wrs_ic": NORM_LAYERS,
    "aws": {"output", "gammas"},  # experimental setting of the AWS paper
    "pgd": WEIGHTS,  # section 4.1.1 of the constrained paper
}
TAKEN = {  # the weights that each method takes; the mini nets are the full ones, which tests of small trainings show
    **{f"yolov3_{method}": 72 for method in DECAYED},
    **{f"deeplabv3_{method}": 112 for method in DECAYED if method != "adamp"},
    **{f"csrnet_{method}": 16 for method in DECAYED if method != "adamp"},
}
CLASSIFIERS = {
    "vgg16bn_wd_cifar10": 13,
    "resnet18_wrs_cifar10": 21,  # with the output layer, which the paper rescales for classification
    "wrn28_10_wd_cifar10": 28,
    "resnet110_pgd_cifar10": 109,
    "resnet50_aws_imagenet": 53,
    "cnn9_wd_cifar10": 9,
}
RUNS = [*TAKEN.items(), *(pytest.param(f"classification/{n}", t, marks=MMPRETRAIN) for n, t in CLASSIFIERS.items())]


def kind_of(name, parameter, model, targets):
    if name in targets or parameter.ndim > 1:
        return "weights" if parameter.ndim == 4 and name in targets else "output"
    if name.endswith("weight"):
        return "gammas"
    layer = model.get_submodule(name.rpartition(".")[0])
    return "biases" if layer.weight.ndim > 1 else "betas"


@pytest.mark.parametrize(("name", "taken"), RUNS)
def test_the_optimizer_has_the_method_on_its_weights_and_the_decay_of_its_paper(name, taken):
    from mmengine.optim import build_optim_wrapper

    from normreg_plugins.core.training import handle_of

    settings = config(name)
    on_cpu = "_pgd" in name or "classification" in name  # PGD projects at once; BatchNorm2d of VGG has host values
    model = build(settings, device="cpu" if on_cpu else "meta").train()
    optimizer = build_optim_wrapper(model, settings.optim_wrapper).optimizer
    handle = handle_of(optimizer)
    targets = handle.targets
    assert len(targets) == taken
    decays = {id(p) for group in optimizer.param_groups for p in group["params"] if group["weight_decay"]}
    found = {True: set(), False: set()}
    for parameter_name, parameter in model.named_parameters():
        decayed = id(parameter) in decays and parameter_name not in handle.undecayed
        found[decayed].add(kind_of(parameter_name, parameter, model, targets))
    assert found[True] == DECAYED[next(m for m in ("wrs_ic", *DECAYED) if f"_{m}" in name)]
    assert found[True].isdisjoint(found[False])


MMDET, MMSEG = "yolo/yolov3_d53_8xb8-ms-608-273e_coco.py", "deeplabv3/deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512.py"


def stock(host, name):
    folder = Path(importlib.import_module(host).__file__).parent
    return pytest.importorskip("mmengine.config").Config.fromfile(folder / ".mim" / "configs" / name)


def unscoped(value):
    """Without the scope that mmengine writes into a base that is named by its package."""
    if isinstance(value, dict):
        return {key: unscoped(each) for key, each in value.items() if key != "_scope_"}
    return [unscoped(each) for each in value] if isinstance(value, list) else value


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if "auxiliary" not in name}


@pytest.mark.parametrize("name", ["mini/yolov3_wd", "yolov3_aws", "deeplabv3_aws"])
def test_the_model_is_the_hosts_weight_for_weight(name):
    """So a checkpoint of mmdet's or mmseg's own model loads."""
    settings, theirs = config(name), stock("mmdet", MMDET) if "yolov3" in name else stock("mmseg", MMSEG)
    if "yolov3" in name:
        theirs.model.bbox_head.num_classes = settings.model.bbox_head.num_classes
    assert shapes(build(settings)) == shapes(build(theirs))


@pytest.mark.parametrize(("name", "host", "theirs"), [("yolov3", "mmdet", MMDET), ("deeplabv3", "mmseg", MMSEG)])
def test_the_stock_config_is_the_hosts_with_two_lines(name, host, theirs):
    ours, theirs = config(f"{name}_wrs_stock"), stock(host, theirs)
    for part in ("model", "train_dataloader", "val_dataloader", "val_evaluator", "train_cfg", "param_scheduler"):
        assert unscoped(ours[part]) == theirs[part], part
    assert {**theirs.optim_wrapper, "constructor": "NormRegOptimWrapperConstructor"} == {
        key: value for key, value in unscoped(ours.optim_wrapper).items() if key != "regularizer"
    }
    assert ours.optim_wrapper.regularizer == {"type": "WRS", "interval": 10}


def test_frozen_norm_layers_of_the_stock_config_are_compensated():
    from mmengine.optim import build_optim_wrapper

    from normreg_plugins.core.training import handle_of

    settings = config("yolov3_wrs_stock")
    handle = handle_of(build_optim_wrapper(build(settings).train(), settings.optim_wrapper).optimizer)
    kinds = [str(verdict.kind) for verdict in handle.verdicts]
    assert (kinds.count("invariant"), kinds.count("compensated"), kinds.count("free")) == (20, 52, 3)


def test_data_of_segmentation_are_mmsegs_but_for_the_batch():
    ours, cityscapes = config("deeplabv3_wd"), stock("mmseg", "_base_/datasets/cityscapes.py")
    assert {**ours.train_dataloader, "batch_size": 4} == stock("mmseg", MMSEG).train_dataloader
    assert config("deeplabv3_wd_cityscapes").train_dataloader.dataset == cityscapes.train_dataloader.dataset


@pytest.mark.parametrize(("name", "stride"), [("mini/deeplabv3_wd", 16), ("deeplabv3_wrs_stock", 8)])
def test_the_output_stride(name, stride):
    features = build(config(name)).extract_feat(torch.zeros(2, 3, 64, 64, device="meta"))
    assert features[-1].shape == (2, 2048, 64 // stride, 64 // stride)


@pytest.mark.parametrize(
    ("name", "part", "layer", "norm"),
    [
        ("deeplabv3_wd", "decode_head", "conv_seg", 1 / 4.4),
        pytest.param("classification/resnet18_wd_cifar10", "head", "fc", 0.23, marks=MMPRETRAIN),
    ],
)
def test_the_output_layer_begins_at_the_norm_that_the_config_says(name, part, layer, norm):
    """Rescaling it to norm 1 makes the logits 1 / norm times as large."""
    head = build(config(name), part, "cpu")
    head.init_weights()
    assert head.get_submodule(layer).weight.flatten(1).norm(dim=1).mean().item() == pytest.approx(norm, rel=0.1)


@pytest.mark.mmpretrain
@pytest.mark.parametrize(("name", "millions"), [("wrn28_10", 36.48), ("resnet110", 1.73)])
def test_the_nets_have_the_published_sizes(name, millions):
    model = build(config(f"classification/{name}_wd_cifar10"))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


PAGE = (CONFIGS.parent / "docs" / "classification.md").read_text()
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]*`(?:model|optim_wrapper)\.[^|]*) \|$", PAGE, re.MULTILINE)
BASES = {"AWS": "resnet50_aws_imagenet", "ResN": "resnet50_wd_imagenet", "the published": "wrn28_10_wd_cifar10"}


@pytest.mark.mmpretrain
@pytest.mark.parametrize(("row", "cell"), ROWS)
def test_the_options_of_the_classification_page_build(row, cell):
    """Methods, optimizers and layers that have no config of their own."""
    from mmengine.config import DictAction
    from mmengine.optim import build_optim_wrapper

    base = next((name for start, name in BASES.items() if row.startswith(start)), "resnet18_wrs_cifar10")
    for code in re.findall(r"`([^`]+)`", cell):
        settings = config(f"classification/{base}")
        pairs = re.findall(r"((?:model|optim_wrapper)[\w.]+)=(\S+)", code)
        settings.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in pairs})
        assert build_optim_wrapper(build(settings, device="cpu"), settings.optim_wrapper).optimizer.param_groups
