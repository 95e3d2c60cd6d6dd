"""`--method NAME OPTION=VALUE`: put into a config, taken off again, and refused where it is not understood."""

import argparse
import logging
import re

import pytest

pytest.importorskip("mmengine")

from helpers.config_keys import CONFIGS
from mmengine.config import Config

from normreg_plugins.cli.method_flag import add_method_flag, set_method
from normreg_plugins.cli.preflight.check import method_of
from normreg_plugins.core.errors import NormRegError

pytestmark = pytest.mark.mm
OURS = "NormRegOptimWrapperConstructor"
PLAIN = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}}
LAYER_DECAY = {**PLAIN, "constructor": "LearningRateDecayOptimizerConstructor"}
WRS, AWS = {"type": "WRS", "interval": 20}, {"type": "AWS"}


@pytest.mark.parametrize("wrapper", [PLAIN, LAYER_DECAY])
@pytest.mark.parametrize("hooks", [None, [{"type": "EMAHook"}]])
def test_a_method_is_put_in_replaced_and_taken_off(wrapper, hooks):
    cfg = Config(
        {"optim_wrapper": wrapper, "custom_hooks": hooks and [*hooks, {"type": "NormRegHook", "regularizer": AWS}]}
    )
    set_method(cfg, WRS)
    assert cfg.optim_wrapper.get("base_constructor") == wrapper.get("constructor")
    set_method(cfg, AWS)
    assert (cfg.optim_wrapper.constructor, cfg.optim_wrapper.regularizer) == (OURS, AWS)
    assert cfg.custom_imports["imports"] == ["normreg_plugins"]
    set_method(cfg, {"type": "none"})
    assert method_of(cfg) is None
    assert cfg.optim_wrapper == wrapper
    assert cfg.custom_hooks == hooks


def test_imports_of_the_config_stay():
    for imports in (["mine"], "mine"):
        cfg = Config({"optim_wrapper": PLAIN, "custom_imports": {"imports": imports, "allow_failed_imports": False}})
        set_method(cfg, WRS)
        assert cfg.custom_imports == {"imports": ["mine", "normreg_plugins"], "allow_failed_imports": False}


def test_options_are_read_as_those_of_a_config():
    parser = argparse.ArgumentParser()
    add_method_flag(parser)
    words = ["WRS", "interval=20", "radius=initial", "output_layers=[head.fc]", "at_start=True"]
    method = {"type": "WRS", "interval": 20, "radius": "initial", "output_layers": ["head.fc"], "at_start": True}
    assert parser.parse_args(["--method", *words]).method == method


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("wrs",), "method 'wrs' is unknown (did you mean 'WRS'?)"),
        (("WRS", "intervall=3"), "no option 'intervall' (did you mean 'interval'?)"),
        (("WRS", "interval=0"), "interval=0: must be"),
        (("WRS", "20"), "--method WRS: '20' must be OPTION=VALUE"),
        (("none", "interval=3"), "--method none: it takes no options, such as interval"),
    ],
)
def test_unknown_names_and_options_are_refused_with_near_names(tool, words, told):
    done = tool("train.py", "mini/yolov3_wd.py", "--method", *words)
    assert (done.returncode, told in done.stderr) == (2, True)
    with pytest.raises(NormRegError, match="no optim_wrapper"):
        set_method(Config({}), WRS)


SMALL = """
small = dict(depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(momentum=0.03))  # scale-bias layers have none
model = dict(backbone=small, decode_head=dict(in_channels=64, channels=16))
"""


@pytest.mark.parametrize("method", ["AWS", "PGD"])
def test_the_layers_a_method_is_made_for_are_named_as_options_that_work(tool, tmp_path, method):
    (tmp_path / "mine.py").write_text(f'_base_ = "{CONFIGS}/mini/deeplabv3_wd.py"\n{SMALL}')
    config = (tmp_path / "mine.py", "--no-prove", "--size", 32, "--method", method)
    first = tool("inspect_model.py", *config)
    (options,) = re.findall(r"For its own layers add --cfg-options (.*);", first.stderr)
    second = tool("inspect_model.py", *config, "--cfg-options", *options.split())
    logging.disable(logging.NOTSET)
    assert (second.returncode, second.stderr) == (0, "")
    acts = [int(re.findall(r"would act on (\d+) weights", done.stdout)[0]) for done in (first, second)]
    assert acts[0] == acts[1]
