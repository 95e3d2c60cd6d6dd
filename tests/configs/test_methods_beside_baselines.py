"""A method's config is the baseline of its task plus the method, and nothing else of the protocol changes."""

import ast
from pathlib import Path

import pytest
from helpers.config_keys import CONFIGS, changed_keys, load

pytestmark = pytest.mark.mm

METHOD = {"optim_wrapper.regularizer.type"}
DECAY_ON = "optim_wrapper.regularizer.decay_on"
INTERVAL, PER = "optim_wrapper.regularizer.interval", "optim_wrapper.regularizer.per"
RATE = "optim_wrapper.optimizer.lr"
DECAY = "optim_wrapper.optimizer.weight_decay"
NO_FLAT_DECAY = "optim_wrapper.paramwise_cfg.flat_decay_mult"
NO_BIAS_DECAY = "optim_wrapper.paramwise_cfg.bias_decay_mult"
WRS = {*METHOD, INTERVAL, DECAY_ON}
AWS = {*METHOD, "optim_wrapper.regularizer.alpha", NO_BIAS_DECAY}
PGD = {*METHOD, NO_FLAT_DECAY}
ADAMP = {*(f"optim_wrapper.optimizer.{key}" for key in ("type", "lr", "weight_decay", "momentum"))} | {
    f"optim_wrapper.clip_grad{key}" for key in ("", ".max_norm", ".norm_type")
}


def converted(kind: str, *parts: str) -> set[str]:
    """The keys that give the parts of a model other convolutions ('conv') or other norm layers ('norm')."""
    return {f"model.{part}.{kind}_cfg.type" for part in parts}


YOLOV3 = ("backbone", "neck", "bbox_head")
DEEPLABV3 = ("backbone", "decode_head")
STANDARDIZED, SCALE_BIAS = "weight_standardized.type", "scale_bias.type"
CHANGED = {
    "yolov3_wrs": WRS,
    "yolov3_wrs_ic": WRS | {PER},
    "yolov3_aws": AWS | converted("conv", *YOLOV3) | {STANDARDIZED},
    "yolov3_pgd": PGD | {DECAY} | converted("norm", *YOLOV3) | {SCALE_BIAS, "custom_hooks"},
    "yolov3_adamp": ADAMP,
    "deeplabv3_wrs": WRS,
    "deeplabv3_wrs_ic": WRS | {PER},
    "deeplabv3_aws": AWS | converted("conv", *DEEPLABV3) | {STANDARDIZED},
    "deeplabv3_pgd": PGD | converted("norm", *DEEPLABV3) | {SCALE_BIAS, "custom_hooks"},
    "deeplabv3_wrs_cityscapes": WRS,
    "csrnet_wrs": WRS,
    "csrnet_wrs_ic": WRS | {PER},
    "csrnet_aws": AWS | converted("conv", "backbone"),
    "csrnet_pgd": PGD | converted("norm", "backbone") | {"model.backbone.norm_cfg.sigma", "model.pretrained"},
    "csrnet_wrs_shanghaitech": WRS,
}
METHODS = ("wrs_ic", "wrs", "aws", "pgd", "adamp")
YOLOV3_METHODS = tuple(f"yolov3_{method}" for method in METHODS)
SPLIT = {f"{name}_coco2014": keys for name, keys in CHANGED.items() if name.startswith("yolov3")}
MINI = {f"mini/{name}": keys for name, keys in CHANGED.items() if name.endswith(METHODS)}
for name in MINI:
    MINI[name] = MINI[name] | (set() if "csrnet" in name else {"work_dir"})  # else both would write to one folder
MINI["mini/yolov3_wrs"] |= {RATE}
MINI["mini/csrnet_pgd"] = MINI["mini/csrnet_pgd"] - {"model.pretrained"} | {RATE}
OTHERS = {
    "real/yolov3_adamp_bccd": ADAMP,
    "real/deeplabv3_adamp_camvid": {"optim_wrapper.optimizer.type"},
    "real/csrnet_adamp_mbm": {"optim_wrapper.optimizer.type"},
    "real/csrnet_pgd_mbm": MINI["mini/csrnet_pgd"],
}
REAL_SETS = {"yolov3": "bccd", "deeplabv3": "camvid", "csrnet": "mbm"}
REAL = {
    f"real/{net}_{method}_{name}": CHANGED[f"{net}_{method}"]
    for net, name in REAL_SETS.items()
    for method in ("wrs", "wrs_ic", "aws", "pgd")
} | OTHERS
FULL = {f"real/{name}_bccd_full": keys for name, keys in CHANGED.items() if name in YOLOV3_METHODS}
CHANGED |= MINI | SPLIT | REAL | FULL


def baseline_of(name: str) -> str:
    """deeplabv3_wrs_cityscapes -> deeplabv3_wd_cityscapes"""
    method = next(method for method in METHODS if f"_{method}" in name)
    return name.replace(f"_{method}", "_wd")


@pytest.mark.parametrize("name", CHANGED)
def test_a_method_is_its_baseline_and_these_keys(name):
    assert changed_keys(name, baseline_of(name)) == CHANGED[name]


@pytest.mark.parametrize("name", [name for name in CHANGED if name not in SPLIT | FULL])
def test_the_file_of_a_method_is_a_child_of_its_baseline(name):
    statements = ast.parse((CONFIGS / f"{name}.py").read_text()).body
    written = {ast.unparse(statement.targets[0]): statement.value for statement in statements}
    assert ast.literal_eval(written.pop("_base_")) == f"./{Path(baseline_of(name)).name}.py"
    assert set(written) <= {key.split(".")[0] for key in CHANGED[name]} | {"custom_imports"}
    if "_adamp" not in name:  # the two lines that the README asks of users
        assert ast.unparse(written["custom_imports"]) == "dict(imports=['normreg_plugins'])"
        assert {"constructor", "regularizer"} <= {keyword.arg for keyword in written["optim_wrapper"].keywords}


@pytest.mark.parametrize("method", ["wd", *METHODS])
@pytest.mark.parametrize(
    ("name", "folder", "base", "settings"),
    [
        ("yolov3_{}_coco2014", "./", "coco2014_split", "coco2014"),
        ("real/yolov3_{}_bccd_full", "../", "bccd_full", "bccd"),
    ],
)
def test_another_set_is_two_lines_on_top_of_any_method(method, name, folder, base, settings):
    bases, taken = ast.parse((CONFIGS / f"{name.format(method)}.py").read_text()).body
    assert ast.literal_eval(bases.value) == [f"{folder}yolov3_{method}.py", f"{folder}_base_/datasets/{base}.py"]
    mine, theirs = load(name.format(method)), load(f"yolov3_{method}")
    changed = {key for key in mine if mine[key] != theirs.get(key)}
    assert changed - {settings} == {name.id for name in taken.targets[0].elts}
    assert changed >= {"train_dataloader", "val_dataloader", "test_dataloader", "val_evaluator", "test_evaluator"}


def test_every_config_of_a_method_is_held_here():
    names = {str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.rglob("*.py")}
    elsewhere = ("_base_", "comparisons/", "classification", "mini/resnet18")  # test_classification.py has the last two
    named = {name for name in names if not name.startswith(elsewhere) and "_wd" not in name}
    assert named - set(CHANGED) == {"yolov3_wrs_stock", "deeplabv3_wrs_stock"}  # children of mm's own configs


def test_hooks_are_added_and_none_is_lost():
    for name, keys in CHANGED.items():
        if "custom_hooks" in keys:
            hooks = load(name)["custom_hooks"]
            assert all(hook in hooks for hook in load(baseline_of(name)).get("custom_hooks", []))
