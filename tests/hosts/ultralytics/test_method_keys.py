"""A method written as key=value."""

import pytest

pytest.importorskip("ultralytics")

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightDecay, WeightRescaling
from normreg_plugins.hosts.methods import MethodKeyError

pytestmark = pytest.mark.ultralytics


def test_our_keys_are_taken_and_theirs_stay():
    settings = {"model": "yolov3.yaml", "wrs.interval": 3, "epochs": 2, "wrs.output_layers": ["head"]}
    assert take_method(settings) == WeightRescaling(interval=3, output_layers=("head",))
    assert settings == {"model": "yolov3.yaml", "epochs": 2}


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"wrs": True}, WeightRescaling()),
        ({"wd": True}, WeightDecay()),
        ({"aws": None}, AdaptiveWeightShrink()),
        ({"pgd": {"c": 1.5}, "pgd.center": False}, SphereDescent(c=1.5, center=False)),
        ({"wrs": {"interval": 7, "radius": 2.0}, "wrs.interval": 5}, WeightRescaling(interval=5, radius=2.0)),
    ],
)
def test_a_file_may_nest_them_and_later_keys_win(settings, method):
    assert take_method(settings) == method


def test_where_weight_decay_acts_is_a_key_like_others():
    settings = {"wrs.select": "model.0.*", "wrs.decay_on": "norm_layers"}
    assert take_method(settings) == WeightRescaling(select="model.0.*", decay_on="norm_layers")


def test_no_key_no_method():
    assert take_method({"epochs": 1}) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wrs.intervall": 3}, r"WRS has no option 'intervall' \(did you mean 'interval'\?\)"),
        ({"aws.tau": 3}, "AWS has no option 'tau'.* it has .*alpha, "),
        ({"wrs": 10}, r"wrs=10: write wrs\.OPTION=VALUE"),
        ({"wrs": True, "pgd": True}, "wrs and pgd: one run, one method"),
        ({"wrs.interval": 0}, "interval=0: must be a whole number"),
    ],
)
def test_what_says_nothing_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        take_method(settings)


def test_the_refusals_are_named():
    with pytest.raises(MethodKeyError):
        take_method({"wrs": 1})
