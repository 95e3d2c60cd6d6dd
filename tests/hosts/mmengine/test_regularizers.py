"""A config that cannot work is refused by name, before anything is updated."""

import pytest
import torch
from helpers.mm_toy import config, train
from mmengine.runner import Runner

from normreg_plugins.core.errors import NormRegError

pytestmark = pytest.mark.mm

BAD = {
    "unknown method": ({"type": "WSR"}, {}, r"method 'WSR' is unknown \(did you mean 'WRS'\?\): use one of WD, WRS"),
    "pattern": ({"type": "WRS", "select": ["conv9*"]}, {}, "'conv9.' matches none of 4"),
    "output layer": ({"type": "WRS", "output_layers": "classifier"}, {}, "'classifier' matches none of 4"),
    "empty": ({"type": "WRS"}, {"norm": "NoNorm"}, "finds no weight to act on among 4 .* Name weights with select="),
}


@pytest.mark.parametrize(("name", "way"), list(zip(BAD, ["constructor", "hook"] * 2)))
def test_a_bad_config_is_refused(tmp_path, name, way):
    regularizer, model, message = BAD[name]
    with pytest.raises(NormRegError, match=message):
        train(tmp_path, regularizer, way, model=model)
    assert not list(tmp_path.glob("*.pth"))


def test_the_method_twice(tmp_path):
    twice = [{"type": "NormRegHook", "regularizer": {"type": "PGD"}}]
    with pytest.raises(NormRegError, match="attached to this optimizer already"):
        train(tmp_path, {"type": "WRS"}, custom_hooks=twice)


def test_an_optimizer_that_tries_several_points(tmp_path):
    lbfgs = {"optimizer": {"_delete_": True, "type": "LBFGS", "lr": 0.1}}
    with pytest.raises(NormRegError, match="LBFGS evaluates its closure many times"):
        train(tmp_path, {"type": "WRS"}, optim_wrapper=lbfgs)


def test_a_structure_that_lies_is_found_before_the_first_update(tmp_path):
    """Registered conv, norm; run without the norm."""
    cfg = config(tmp_path, {"type": "WRS"}, model={"type": "LyingNet"})
    runner = Runner.from_cfg(cfg)
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    with pytest.raises(NormRegError, match=r"conv3\.weight: the structure promised invariant"):
        runner.train()
    assert all(torch.equal(value, before[name]) for name, value in runner.model.named_parameters())
