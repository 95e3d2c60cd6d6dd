"""The segmentation configs say what they claim: the paper's protocol, one model, one method each; mmseg's own model."""

import importlib
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.mm
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CLASSIFIER = "decode_head.conv_seg"
METHODS = {
    "wd": {"type": "WD"},
    "wrs": {"type": "WRS", "interval": 10, "decay_on": "norm_layers"},
    "wrs_ic": {"type": "WRS", "interval": 10, "per": "position", "decay_on": "norm_layers"},
    "aws": {"type": "AWS"},
    "pgd": {"type": "PGD"},
}
NORM_LAYERS = {"gammas", "betas"}
DECAYED = {
    "wd": {"weights", "conv_seg.weight", "gammas"},  # section VI-A of the WRS paper
    "wrs": NORM_LAYERS,  # Algorithm 1, line 7
    "wrs_ic": NORM_LAYERS,
    "aws": {"conv_seg.weight", "gammas"},  # experimental setting of the AWS paper
    "pgd": {"weights", "conv_seg.weight"},  # section 4.1.1 of the constrained paper
}
STOCK = "deeplabv3/deeplabv3_r101-d8_4xb4-20k_voc12aug-512x512.py"


def load(name):
    config = pytest.importorskip("mmengine.config").Config
    return config.fromfile(CONFIGS / f"{name}.py")


def mmsegs(name):
    from mmengine.config import Config

    folder = Path(importlib.import_module("mmseg").__file__).parent
    return Config.fromfile(folder / ".mim" / "configs" / name)


def build(model, device="meta"):
    """The model, by default without memory for its 85 million weights."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    importlib.import_module("normreg_plugins.hosts.mmengine")
    init_default_scope("mmseg")
    with torch.device(device):
        return MODELS.build(model)


def method_of(cfg):
    return {k: v for k, v in cfg.optim_wrapper.regularizer.items() if k != "alpha"}


@pytest.mark.parametrize("method", METHODS)
def test_the_protocol_is_the_papers(method):
    cfg = load(f"deeplabv3_{method}")
    optimizer = dict(cfg.optim_wrapper.optimizer)
    assert optimizer == {"type": "AdamW", "lr": 1e-4, "weight_decay": 2e-4}
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 10
    assert cfg.train_cfg.max_iters == 52 * 10_582 // 10 == 55_026
    (poly,) = cfg.param_scheduler
    assert (poly.type, poly.eta_min, poly.end, poly.by_epoch) == ("PolyLR", 1e-6, 55_026, False)
    assert cfg.default_hooks.checkpoint.save_best == "mIoU"
    backbone, head = cfg.model.backbone, cfg.model.decode_head
    assert (backbone.strides, backbone.dilations, head.dilations) == ((1, 2, 2, 1), (1, 1, 1, 2), (1, 6, 12, 18))
    assert (backbone.depth, head.num_classes, cfg.model.auxiliary_head) == (101, 21, None)
    assert backbone.init_cfg.checkpoint == "open-mmlab://resnet101_v1c"


@pytest.mark.parametrize("folder", ["", "mini/"])
@pytest.mark.parametrize("method", METHODS)
def test_each_config_is_the_baseline_with_one_method(folder, method):
    cfg, baseline = load(f"{folder}deeplabv3_{method}"), load(f"{folder}deeplabv3_wd")
    assert method_of(cfg) == METHODS[method]
    assert cfg.optim_wrapper.constructor == "NormRegOptimWrapperConstructor"
    assert cfg.custom_imports.imports == ["normreg_plugins"]
    assert cfg.model.backbone.norm_eval is False
    for part in ("train_dataloader", "val_dataloader", "train_cfg", "param_scheduler", "val_evaluator", "sync_bn"):
        assert cfg[part] == baseline[part], part


@pytest.mark.parametrize("folder", ["", "mini/"])
@pytest.mark.parametrize("method", METHODS)
def test_the_optimizer_is_built_with_the_method_on_its_weights(folder, method):
    """112 convolutions with a norm layer, or with what stands for one. The classifier is left alone."""
    from mmengine.optim import build_optim_wrapper

    from normreg_plugins.core.training import handle_of

    cfg = load(f"{folder}deeplabv3_{method}")
    model = build(cfg.model, device="cpu" if method == "pgd" else "meta")  # PGD puts the weights on the sphere at once
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    handle = handle_of(optimizer)
    assert len(handle.targets) == 112
    assert f"{CLASSIFIER}.weight" not in handle.targets
    kinds = {id(p): "weights" for name, p in model.named_parameters() if name in handle.targets}
    kinds |= {id(p): name.removeprefix("decode_head.") for name, p in model.named_parameters() if CLASSIFIER in name}
    decayed = {
        kinds.get(id(p), "gammas" if name.endswith("weight") else "betas")
        for group in optimizer.param_groups
        for name, p in model.named_parameters()
        if group["weight_decay"] and any(p is q for q in group["params"])
    }
    assert decayed == DECAYED[method]


def test_the_output_stride_is_sixteen():
    for name, stride in (("deeplabv3_wd", 16), ("mini/deeplabv3_wd", 16), ("deeplabv3_wrs_stock", 8)):
        model = build(load(name).model)
        features = model.extract_feat(torch.zeros(2, 3, 64, 64, device="meta"))
        assert features[-1].shape == (2, 2048, 64 // stride, 64 // stride)


def test_the_model_is_mmsegs_weight_for_weight():
    """Strides and dilations have no weights, so a checkpoint of mmseg's DeepLabv3 loads."""
    reference = build(mmsegs(STOCK).model).state_dict()
    expected = {name: tuple(value.shape) for name, value in reference.items() if "auxiliary" not in name}
    for method in ("wd", "wrs", "wrs_ic", "aws"):
        found = build(load(f"deeplabv3_{method}").model).state_dict()
        assert {name: tuple(value.shape) for name, value in found.items()} == expected
    without_statistics = {n: s for n, s in expected.items() if "running" not in n and "num_batches" not in n}
    found = build(load("deeplabv3_pgd").model).state_dict()
    assert {name: tuple(value.shape) for name, value in found.items()} == without_statistics


def test_the_stock_config_is_mmsegs_with_two_lines():
    ours, theirs = load("deeplabv3_wrs_stock"), mmsegs(STOCK)
    same = ("model", "train_dataloader", "val_dataloader", "test_dataloader", "val_evaluator", "test_evaluator")
    for part in (*same, "train_cfg", "val_cfg", "test_cfg", "param_scheduler", "default_scope", "env_cfg"):
        assert ours[part] == theirs[part], part
    kept = {k: v for k, v in ours.optim_wrapper.items() if k not in ("constructor", "regularizer")}
    assert kept == theirs.optim_wrapper
    assert ours.optim_wrapper.regularizer == {"type": "WRS", "interval": 10}
    lines = (CONFIGS / "deeplabv3_wrs_stock.py").read_text().split("]\n", 1)[1].strip().splitlines()
    assert len(lines) == 2


def test_the_data_is_mmsegs_but_for_the_batch():
    ours, theirs = load("deeplabv3_wd"), mmsegs(STOCK)
    assert {**ours.train_dataloader, "batch_size": 4} == theirs.train_dataloader
    cityscapes = load("deeplabv3_wd_cityscapes")
    reference = mmsegs("_base_/datasets/cityscapes.py")
    assert cityscapes.train_dataloader.dataset == reference.train_dataloader.dataset
    assert cityscapes.val_dataloader == reference.val_dataloader


def test_cityscapes_differs_from_voc_in_data_length_and_classes():
    for method in ("wd", "wrs"):
        voc, city = load(f"deeplabv3_{method}"), load(f"deeplabv3_{method}_cityscapes")
        assert city.optim_wrapper == voc.optim_wrapper
        assert city.model.decode_head == {**voc.model.decode_head, "num_classes": 19}
        assert city.model.backbone == voc.model.backbone
        assert tuple(city.model.data_preprocessor.size) == city.crop_size == (512, 1024)
        assert city.train_cfg.max_iters == city.param_scheduler[0].end


def test_mini_configs_do_not_share_their_work_dir_with_the_papers():
    """Else `--resume` would go on from the other one's checkpoint."""
    for method in METHODS:
        assert load(f"mini/deeplabv3_{method}").work_dir == f"work_dirs/mini/deeplabv3_{method}"
        assert "work_dir" not in load(f"deeplabv3_{method}")


@pytest.mark.filterwarnings("ignore::normreg_plugins.core.errors.UnconfirmedWarning")  # there is no forward here
def test_the_classifier_can_be_rescaled_from_the_command_line():
    """What the config and the docs say of it: its logits become 4.4 times as large."""
    from mmengine.config import DictAction

    import normreg_plugins
    from normreg_plugins.hosts.mmengine import build_regularizer

    key, _, value = f"optim_wrapper.regularizer.output_layers={CLASSIFIER}".partition("=")
    cfg = load("deeplabv3_wrs")
    assert f"{key}={value}" in (CONFIGS / "deeplabv3_wrs.py").read_text()
    cfg.merge_from_dict({key: DictAction._parse_iterable(value)})
    head = torch.nn.ModuleDict({"decode_head": build(cfg.model.decode_head, "cpu")})
    head.decode_head.init_weights()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.0)
    method = build_regularizer(cfg.optim_wrapper.regularizer)
    handle = normreg_plugins.attach(optimizer, head, method)
    assert f"{CLASSIFIER}.weight" in handle.targets
    norms = [head.decode_head.conv_seg.weight.flatten(1).norm(dim=1).mean().item()]
    for _ in range(10):
        head.decode_head.conv_seg.weight.grad = torch.ones_like(head.decode_head.conv_seg.weight)
        optimizer.step()
        norms.append(head.decode_head.conv_seg.weight.flatten(1).norm(dim=1).mean().item())
    assert norms[9] == norms[0]
    assert norms[10] / norms[9] == pytest.approx(4.4, rel=0.05)
