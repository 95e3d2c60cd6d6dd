"""The classification configs say what they claim: the papers' protocols, a method and nothing else in its file."""

import ast
import itertools
import re
from pathlib import Path

import pytest
import torch
from helpers.config_keys import CONFIGS, changed_keys, load

pytestmark = pytest.mark.mmpretrain
FOLDER = CONFIGS / "classification"
NETS, SETS = ("vgg16bn", "resnet18", "wrn28_10"), ("cifar10", "cifar100", "tinyimagenet")
TABLE_1 = [f"{net}_{data}" for net, data in itertools.product(NETS, SETS)]
TABLE_1_OF_PGD = [f"{net}_{data}" for net in ("resnet110", "wrn28_10_cosine") for data in ("cifar10", "cifar100")]
CLASSES = {"cifar10": 10, "cifar100": 100, "tinyimagenet": 200, "imagenet": 1000}

METHOD, PER = "optim_wrapper.regularizer.type", "optim_wrapper.regularizer.per"
WRS = {METHOD, *(f"optim_wrapper.regularizer.{key}" for key in ("interval", "decay_on", "output_layers"))}
RATE, DECAY = "optim_wrapper.optimizer.lr", "optim_wrapper.optimizer.weight_decay"
OPTIMIZER, MOMENTUM = "optim_wrapper.optimizer.type", "optim_wrapper.optimizer.momentum"
CONV, NORM = "model.backbone.conv_cfg.type", "model.backbone.norm_cfg.type"
NO_BIAS_DECAY = "optim_wrapper.paramwise_cfg.bias_decay_mult"
ALPHA = "optim_wrapper.regularizer.alpha"
PGD = {METHOD, DECAY, NORM, "optim_wrapper.paramwise_cfg.flat_decay_mult", "custom_hooks"}
ADAMW = {OPTIMIZER, MOMENTUM, RATE, DECAY}

CHILDREN = {  # of which config each is a child, and what it changes there
    **{f"classification/{name}_wrs": (f"classification/{name}_wd", WRS) for name in TABLE_1},
    **{f"classification/{name}_pgd": (f"classification/{name}_wd", PGD | {RATE}) for name in TABLE_1_OF_PGD},
    "classification/resnet18_cifar10_ws": ("classification/resnet18_cifar10_wd", {CONV}),
    "classification/resnet18_cifar10_bwn": ("classification/resnet18_cifar10_wd", {CONV}),
    "classification/resnet18_cifar10_bwn_mean_only": ("classification/resnet18_cifar10_bwn", {NORM}),
    "classification/vgg16bn_cifar10_adamw": ("classification/vgg16bn_cifar10_wd", ADAMW),
    "classification/resnet18_cifar10_adamw": ("classification/resnet18_cifar10_wd", ADAMW),
    "classification/resnet18_tinyimagenet_adamw": ("classification/resnet18_tinyimagenet_wd", ADAMW),
    "classification/wrn28_10_tinyimagenet_adamw": (
        "classification/wrn28_10_tinyimagenet_wd",
        ADAMW | {"model.backbone.block"},
    ),
    "classification/resnet18_tinyimagenet_adamp": ("classification/resnet18_tinyimagenet_adamw", {OPTIMIZER}),
    **{
        f"classification/resnet18_tinyimagenet_{optimizer}_wrs{ic}": (
            f"classification/resnet18_tinyimagenet_{optimizer}",
            WRS | {DECAY} | ({PER} if ic else set()),
        )
        for optimizer, ic in itertools.product(("adamw", "adamp"), ("", "_ic"))
    },
    "classification/resnet50_imagenet_ws": ("classification/resnet50_imagenet_wd", {CONV}),
    "classification/resnet50_imagenet_aws": (
        "classification/resnet50_imagenet_wd",
        {METHOD, ALPHA, NO_BIAS_DECAY, CONV},
    ),
    "classification/resnet50_imagenet_aws_wn": ("classification/resnet50_imagenet_aws", {ALPHA, CONV}),
    "classification/resnet50_imagenet_pgd": ("classification/resnet50_imagenet_wd", PGD),
    "mini/resnet18_wrs": ("mini/resnet18_wd", WRS | {"work_dir"}),
    "mini/resnet18_wrs_ic": ("mini/resnet18_wd", WRS | {PER, "work_dir"}),
    "mini/resnet18_aws": ("mini/resnet18_wd", {METHOD, ALPHA, NO_BIAS_DECAY, CONV, "work_dir"}),
    "mini/resnet18_pgd": ("mini/resnet18_wd", PGD | {"work_dir"}),
    "mini/resnet18_adamp": ("mini/resnet18_wd", ADAMW | {"work_dir"}),
    "mini/resnet18_ws": ("mini/resnet18_wd", {CONV, "work_dir"}),
    "mini/resnet18_bwn": ("mini/resnet18_wd", {CONV, NORM, "work_dir"}),
}
BASELINES = {f"classification/{name}_wd" for name in (*TABLE_1, *TABLE_1_OF_PGD, "resnet50_imagenet")}


@pytest.mark.parametrize("name", CHILDREN)
def test_a_method_is_its_baseline_and_these_keys(name):
    base, keys = CHILDREN[name]
    assert changed_keys(name, base) == keys
    written = {ast.unparse(s.targets[0]): s.value for s in ast.parse((CONFIGS / f"{name}.py").read_text()).body}
    assert ast.literal_eval(written.pop("_base_")) == f"./{Path(base).name}.py"
    assert set(written) <= {key.split(".")[0] for key in keys} | {"custom_imports"}


def test_every_config_is_held_here():
    found = {str(path.relative_to(CONFIGS).with_suffix("")) for path in FOLDER.glob("*.py")}
    found |= {str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.glob("mini/resnet18_*.py")}
    assert found == {*CHILDREN, *BASELINES, "mini/resnet18_wd"}


@pytest.mark.parametrize("name", TABLE_1)
def test_the_protocol_is_the_wrs_papers(name):
    """Sections III-B and VI-A."""
    cfg = load(f"classification/{name}_wd")
    assert cfg["train_cfg"]["max_epochs"] == (100 if "vgg16" in name else 200)
    (steps,) = cfg["param_scheduler"]
    assert (steps["type"], steps["gamma"]) == ("MultiStepLR", 0.1)
    assert steps["milestones"] == ([30, 60] if "vgg16" in name else [60, 120, 160])
    assert cfg["optim_wrapper"]["optimizer"] == {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    assert cfg["train_dataloader"]["batch_size"] == cfg["auto_scale_lr"]["written_for"] == 100
    crop = next(t for t in cfg["train_dataloader"]["dataset"]["pipeline"] if t["type"] == "RandomCrop")
    side, padded = (64, 72) if "tiny" in name else (32, 38)
    assert (crop["crop_size"], crop["crop_size"] + 2 * crop["padding"]) == (side, padded)
    types = [t["type"] for t in cfg["train_dataloader"]["dataset"]["pipeline"]]
    assert types[-3:] == ["RandomFlip", "ColorJitter", "PackInputs"]
    preprocessor = cfg["model"]["data_preprocessor"]
    assert (preprocessor["mean"], preprocessor["std"]) == ([0.0] * 3, [255.0] * 3)  # pixel values in [0, 1]


@pytest.mark.parametrize("name", TABLE_1_OF_PGD)
def test_the_protocol_is_the_constrained_papers(name):
    """Section 4.1.1, and Table 4 for the noise."""
    cfg = load(f"classification/{name}_pgd")
    assert cfg["train_cfg"]["max_epochs"] == cfg["param_scheduler"][0]["T_max"] == 200
    assert cfg["param_scheduler"][0]["type"] == "CosineAnnealingLR"
    assert cfg["train_dataloader"]["batch_size"] == cfg["auto_scale_lr"]["written_for"] == 128
    optimizer = cfg["optim_wrapper"]["optimizer"]
    decay = 5e-3 if "wrn" in name else 1e-3
    assert (optimizer["lr"], optimizer["weight_decay"], optimizer["momentum"]) == (0.2, decay, 0.9)
    assert (
        100 < cfg["model"]["data_preprocessor"]["mean"][0] < 140
    )  # without norm layers the scale of the images is seen
    sigma = 0.8 if name == "wrn28_10_cosine_cifar100" else 1.0
    assert cfg["custom_hooks"][0] == {"type": "NormRegLinearNoiseHook", "sigma": sigma}


@pytest.mark.parametrize("method", ["wd", "ws", "aws", "aws_wn", "pgd"])
def test_the_protocol_on_imagenet(method):
    """Experimental setting of the AWS paper; section 4.3.1 of the constrained paper."""
    cfg = load(f"classification/resnet50_imagenet_{method}")
    assert cfg["train_cfg"]["max_epochs"] == 100
    assert cfg["param_scheduler"][0]["milestones"] == [30, 60, 90]
    assert cfg["train_dataloader"]["batch_size"] == cfg["auto_scale_lr"]["written_for"] == 256
    optimizer = cfg["optim_wrapper"]["optimizer"]
    assert (optimizer["lr"], optimizer["momentum"]) == (0.1, 0.9)
    assert optimizer["weight_decay"] == (1e-3 if method == "pgd" else 1e-4)
    said = {"aws": 2.5e-3, "aws_wn": 1e-4}
    assert cfg["optim_wrapper"]["regularizer"].get("alpha") == said.get(method)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_head_and_data_have_the_same_classes(name):
    cfg = load(name)
    data = max((each for each in CLASSES if each in name), key=len)
    assert cfg["model"]["head"]["num_classes"] == CLASSES[data]
    for phase in ("train", "val", "test"):
        dataset = cfg[f"{phase}_dataloader"]["dataset"]
        assert dataset["data_root"] == f"data/{data}/"
        if data.startswith("cifar"):
            assert dataset["type"] == data.upper()
            assert dataset["download"] is False  # the tool says what to fetch, and a run never does


def build(model, device="cpu"):
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope("mmpretrain")
    with torch.device(device):
        return MODELS.build(model)


WEIGHTS = {"conv", "output"}
RUNS = [  # config, convolutions, which of all weights the method takes, what has weight decay
    ("vgg16bn_cifar10_wd", 13, 13, {*WEIGHTS, "gamma"}),
    ("vgg16bn_cifar10_wrs", 13, 14, {"gamma", "beta"}),
    ("resnet18_cifar10_wrs", 20, 21, {"gamma", "beta"}),
    ("resnet18_cifar10_ws", 20, 20, {*WEIGHTS, "gamma"}),
    ("resnet18_cifar10_bwn_mean_only", 20, 21, WEIGHTS),
    ("resnet18_tinyimagenet_adamp_wrs_ic", 20, 21, {"gamma", "beta"}),
    ("wrn28_10_cifar10_wrs", 28, 29, {"gamma", "beta"}),
    ("wrn28_10_tinyimagenet_adamw", 28, 12, {*WEIGHTS, "gamma"}),
    ("resnet110_cifar10_wd", 109, 109, {*WEIGHTS, "gamma"}),
    ("resnet110_cifar10_pgd", 109, 109, WEIGHTS),
    ("resnet50_imagenet_wd", 53, 53, {*WEIGHTS, "gamma"}),
    ("resnet50_imagenet_aws", 53, 53, {"output", "gamma"}),
    ("resnet50_imagenet_aws_wn", 53, 53, {"output", "gamma"}),
    ("resnet50_imagenet_pgd", 53, 53, WEIGHTS),
]


@pytest.mark.parametrize(("name", "convolutions", "taken", "decayed"), RUNS)
def test_the_optimizer_is_built_with_the_method_on_its_weights(name, convolutions, taken, decayed):
    from mmengine.config import Config
    from mmengine.optim import build_optim_wrapper

    from normreg_plugins.core.training import handle_of

    cfg = Config.fromfile(FOLDER / f"{name}.py")
    model = build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    assert sum(p.ndim == 4 for p in model.parameters()) == convolutions
    assert len(handle_of(optimizer).targets) == taken
    decays = {id(p) for group in optimizer.param_groups for p in group["params"] if group["weight_decay"]}

    def kind(parameter_name, parameter):
        if parameter.ndim > 1:
            return "conv" if parameter.ndim == 4 else "output"
        return "gamma" if parameter_name.endswith("weight") else "beta"

    parameters = [
        (n, p) for n, p in model.named_parameters() if not n.endswith(("fc.bias", "conv.bias"))
    ]  # VGG has some
    assert {kind(n, p) for n, p in parameters if id(p) in decays} == decayed
    assert {kind(n, p) for n, p in parameters if id(p) not in decays}.isdisjoint(decayed)


def test_the_output_layer_begins_at_the_norm_that_the_config_says():
    head = build(load("classification/resnet18_cifar10_wrs")["model"]["head"])
    head.init_weights()
    norm = head.fc.weight.norm(dim=1).mean().item()
    (said,) = re.findall(r"begin at norm (\S+) ", (FOLDER / "resnet18_cifar10_wrs.py").read_text())
    assert float(said) == pytest.approx(norm, rel=0.1)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("wrn28_10_cifar10_wd", 36.48), ("resnet110_cifar10_wd", 1.73), ("resnet50_imagenet_wd", 25.56)],
)
def test_the_nets_have_the_sizes_that_are_published(name, millions):
    model = build(load(f"classification/{name}")["model"], "cpu" if "50" in name else "meta")
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
