"""A config that cannot work is refused by name, before anything is updated."""

import pytest
import torch
from helpers.mm_toy import config, train
from mmengine.runner import Runner

from normreg_plugins.core.errors import NormRegError

pytestmark = pytest.mark.mm

BAD = {
    "unknown method": ({"type": "WSR"}, "method 'WSR' is unknown: use one of WD, WRS, AWS, PGD"),
    "no type": ({"interval": 3}, "must be a dict with a type"),
    "no dict": ("WRS", "must be a dict with a type"),
    "misspelt option": ({"type": "WRS", "intervall": 3}, "no option 'intervall' .did you mean 'interval'"),
    "option of another method": ({"type": "PGD", "alpha": 0.1}, "PGD has no option 'alpha'.* it has select, c, center"),
    "tau 0": ({"type": "WRS", "interval": 0}, "interval=0: must be"),
    "tau negative": ({"type": "WRS", "interval": -5}, "interval=-5: must be"),
    "tau no number": ({"type": "WRS", "interval": "ten"}, "interval='ten': must be"),
    "alpha negative": ({"type": "AWS", "alpha": -0.1}, "alpha=-0.1: must be"),
    "c zero": ({"type": "PGD", "c": 0}, "c=0: must be"),
    "phase ends before it begins": ({"type": "WRS", "begin": 5, "end": 5}, "end=5: must be"),
    "phase in no unit": ({"type": "WRS", "end": 5, "unit": "batch"}, "unit='batch': must be"),
    "pattern without match": ({"type": "WRS", "select": ["conv9*"]}, "'conv9.' matches none of 4"),
    "output layer without match": ({"type": "WRS", "output_layers": "classifier"}, "'classifier' matches none of 4"),
}


@pytest.mark.parametrize("way", ["constructor", "hook"])
@pytest.mark.parametrize("name", BAD)
def test_it_says_what_is_wrong(tmp_path, name, way):
    regularizer, message = BAD[name]
    with pytest.raises(NormRegError, match=message):
        train(tmp_path, regularizer, way)
    assert not list(tmp_path.glob("*.pth"))


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_a_selection_that_comes_out_empty(tmp_path, way):
    with pytest.raises(NormRegError, match=r"finds no weight to act on among 4 .* Name weights with select="):
        train(tmp_path, {"type": "WRS"}, way, model={"norm": "NoNorm"})


def test_a_constructor_without_a_regularizer(tmp_path):
    with pytest.raises(NormRegError, match="regularizer=None: must be a dict with a type"):
        train(tmp_path, optim_wrapper={"constructor": "NormRegOptimWrapperConstructor"})


def test_the_method_twice(tmp_path):
    twice = [{"type": "NormRegHook", "regularizer": {"type": "PGD"}}]
    with pytest.raises(NormRegError, match="attached to this optimizer already"):
        train(tmp_path, {"type": "WRS"}, custom_hooks=twice)


def test_an_optimizer_that_tries_several_points(tmp_path):
    lbfgs = {"optimizer": {"_delete_": True, "type": "LBFGS", "lr": 0.1}}
    with pytest.raises(NormRegError, match="LBFGS evaluates its closure many times"):
        train(tmp_path, {"type": "WRS"}, optim_wrapper=lbfgs)


def test_nothing_of_ours_is_called_aws_elsewhere():
    from mmengine.registry import MODELS, OPTIMIZERS

    assert not {"WRS", "AWS", "PGD"} & (set(MODELS.module_dict) | set(OPTIMIZERS.module_dict))


def test_a_structure_that_lies_is_found_before_the_first_update(tmp_path):
    """Registered conv, norm; run without the norm."""
    cfg = config(tmp_path, {"type": "WRS"}, model={"type": "LyingNet"})
    runner = Runner.from_cfg(cfg)
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    with pytest.raises(NormRegError, match=r"conv3\.weight: the structure promised invariant"):
        runner.train()
    assert all(torch.equal(value, before[name]) for name, value in runner.model.named_parameters())
