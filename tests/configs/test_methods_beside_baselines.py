"""A method's config is a child of its baseline that changes what the method needs, and nothing else."""

import ast
from pathlib import Path

import pytest
from helpers.config_keys import CONFIGS, changed_keys, load

pytestmark = pytest.mark.mm


def keys(prefix: str, *names: str) -> set[str]:
    return {f"{prefix}.{name}" for name in names}


REGULARIZER, OPTIMIZER = "optim_wrapper.regularizer", "optim_wrapper.optimizer"
RATE, DECAY = f"{OPTIMIZER}.lr", f"{OPTIMIZER}.weight_decay"
PER, OUTPUT = f"{REGULARIZER}.per", f"{REGULARIZER}.output_layers"
WRS = keys(REGULARIZER, "type", "interval")
AWS = keys(REGULARIZER, "type", "alpha") | {"optim_wrapper.paramwise_cfg.bias_decay_mult"}
PGD = {f"{REGULARIZER}.type", "optim_wrapper.paramwise_cfg.flat_decay_mult"}
ADAM = keys(OPTIMIZER, "type", "lr", "weight_decay", "momentum")
CLIP = {"optim_wrapper.clip_grad", *keys("optim_wrapper.clip_grad", "max_norm", "norm_type")}


def converted(kind: str, *parts: str) -> set[str]:
    """The keys that give the parts of a model other convolutions ('conv') or other norm layers ('norm')."""
    return {f"model.{part}.{kind}_cfg.type" for part in parts}


def methods(*parts: str) -> dict[str, set[str]]:
    """What each method changes in a model with these parts."""
    named = len(parts) > 1  # then the config gives the layer a name
    return {
        "wrs": WRS,
        "wrs_ic": WRS | {PER},
        "aws": AWS | converted("conv", *parts) | ({"weight_standardized.type"} if named else set()),
        "pgd": PGD | converted("norm", *parts) | ({"scale_bias.type", "custom_hooks"} if named else set()),
    }


NOISE = "model.backbone.norm_cfg.sigma"
BY_NET = {
    "yolov3": methods("backbone", "neck", "bbox_head") | {"adamp": ADAM | CLIP},
    "deeplabv3": methods("backbone", "decode_head"),
    "csrnet": methods("backbone"),
}
BY_NET["yolov3"]["pgd"] |= {DECAY}
BY_NET["csrnet"]["pgd"] |= {NOISE}
TOP = {f"{net}_{method}": found for net, each in BY_NET.items() for method, found in each.items()}
CHANGED = dict(TOP) | dict.fromkeys(("deeplabv3_wrs_cityscapes", "csrnet_wrs_shanghaitech", "yolov3_wrs_noclip"), WRS)
FOLDED = keys("model.backbone.init_cfg", "type")  # the checkpoint keeps its function in other layers
for net in ("yolov3", "deeplabv3"):
    CHANGED[f"{net}_aws"] = TOP[f"{net}_aws"] | FOLDED
    CHANGED[f"{net}_pgd"] = TOP[f"{net}_pgd"] | FOLDED | keys("model.backbone.init_cfg", "center")
CHANGED["deeplabv3_aws"] |= {"auto_scale_lr.variant.optim_wrapper.regularizer.alpha"}
CHANGED["csrnet_pgd"] = TOP["csrnet_pgd"] | {"model.init_cfg.center"}

CHANGED |= {f"mini/{name}": found | (set() if "csrnet" in name else {"work_dir"}) for name, found in TOP.items()}
CHANGED["mini/yolov3_wrs"] |= {RATE}
CHANGED["mini/csrnet_pgd"] = TOP["csrnet_pgd"] | {RATE}
CONV, NORM = converted("conv", "backbone"), converted("norm", "backbone")
CLASSIFIER_PGD = PGD | NORM | {DECAY, "custom_hooks"}
RESNET = {
    "wrs": WRS | {OUTPUT},
    "wrs_ic": WRS | {OUTPUT, PER},
    "aws": AWS | CONV,
    "pgd": CLASSIFIER_PGD,
    "adamp": ADAM,
    "ws": CONV,
    "bwn": CONV | NORM,
}
CHANGED |= {f"mini/resnet18_{method}": found | {"work_dir"} for method, found in RESNET.items()}

SETS = {"yolov3": "bccd", "deeplabv3": "camvid", "csrnet": "mbm"}
for net, data in SETS.items():
    CHANGED |= {f"small/{net}_{method}_{data}": found for method, found in BY_NET[net].items()}
CHANGED["small/csrnet_pgd_mbm"] = CHANGED["mini/csrnet_pgd"]
CHANGED |= {f"small/{net}_adamp_{SETS[net]}": {f"{OPTIMIZER}.type"} for net in ("deeplabv3", "csrnet")}

CHANGED["classification/resnet18_wrs_cifar10"] = RESNET["wrs"]
CHANGED["classification/resnet110_pgd_cifar10"] = CLASSIFIER_PGD | {RATE}
CHANGED["classification/resnet50_aws_imagenet"] = RESNET["aws"]

FINETUNE = {
    "wrs": keys(REGULARIZER, "type", "interval"),
    "wrs_initial": keys(REGULARIZER, "type", "interval", "radius"),
    "aws": AWS,
    "pgd": PGD | {f"{REGULARIZER}.center"},
}
START = {"load_from", *keys("model.init_cfg", "type", "checkpoint"), "scale_bias.type"}  # the initializer loads instead
for net, data, parts in (
    ("yolov3", "coco", ("backbone", "neck", "bbox_head")),
    ("yolov3", "voc", ("backbone", "neck", "bbox_head")),
    ("deeplabv3", "voc", ("backbone", "decode_head", "auxiliary_head")),
    ("csrnet", "qnrf", ("backbone",)),
):
    found = {f"finetune/{net}_{method}_{data}": changes for method, changes in FINETUNE.items()}
    CHANGED |= found
    folded = converted("norm", *parts) | (set() if net == "csrnet" else START)
    CHANGED[f"finetune/{net}_pgd_{data}"] = FINETUNE["pgd"] | folded

SPLIT = ("wd", *BY_NET["yolov3"])  # the methods on the paper's split of COCO 2014


def baseline_of(name: str) -> str:
    """deeplabv3_wrs_cityscapes -> deeplabv3_wd_cityscapes"""
    method = next(m for m in ("wrs_ic", "wrs_initial", "wrs", "aws", "pgd", "adamp", "ws", "bwn") if f"_{m}" in name)
    return name.replace(f"_{method}", "_wd")


@pytest.mark.parametrize("name", CHANGED)
def test_the_file_of_a_method_is_a_child_of_its_baseline_with_these_keys(name):
    assert changed_keys(name, baseline_of(name)) == CHANGED[name]
    statements = ast.parse((CONFIGS / f"{name}.py").read_text()).body
    written = {ast.unparse(statement.targets[0]): statement.value for statement in statements}
    assert ast.literal_eval(written.pop("_base_")) == f"./{Path(baseline_of(name)).name}.py"
    assert set(written) <= {key.split(".")[0] for key in CHANGED[name]} | {"custom_imports"}
    if f"{REGULARIZER}.type" in CHANGED[name]:  # the two lines that the README asks of users
        assert ast.unparse(written["custom_imports"]) == "dict(imports=['normreg_plugins'])"
        assert {"constructor", "regularizer"} <= {keyword.arg for keyword in written["optim_wrapper"].keywords}
    hooks = load(name).get("custom_hooks", [])
    assert all(hook in hooks for hook in load(baseline_of(name)).get("custom_hooks", []))


@pytest.mark.parametrize("method", SPLIT)
def test_the_papers_split_of_coco_is_two_lines_on_top_of_any_method(method):
    name = f"yolov3_{method}_coco2014"
    bases, taken = ast.parse((CONFIGS / f"{name}.py").read_text()).body
    assert ast.literal_eval(bases.value) == [f"./yolov3_{method}.py", "./_base_/datasets/coco2014_split.py"]
    mine, theirs = load(name), load(f"yolov3_{method}")
    assert {key for key in mine if mine[key] != theirs.get(key)} - {"coco2014"} == {e.id for e in taken.targets[0].elts}
    for phase, images in (("train", "trainvalno5k"), ("val", "5k"), ("test", "5k")):
        dataset = mine[f"{phase}_dataloader"]["dataset"]
        assert dataset["ann_file"] == f"annotations/instances_{images}.json"
        assert dataset["pipeline"] == theirs[f"{phase}_dataloader"]["dataset"]["pipeline"]


def test_every_config_of_a_method_is_named_here():
    names = {str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.rglob("*.py")}
    of_methods = {name for name in names if not name.startswith("_base_") and "_wd" not in name}
    stock = {"yolov3_wrs_stock", "deeplabv3_wrs_stock"}  # children of the hosts' own configs
    assert of_methods - set(CHANGED) - {f"yolov3_{method}_coco2014" for method in SPLIT} == stock
