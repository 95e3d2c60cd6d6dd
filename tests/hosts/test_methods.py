"""A method from its name and options, and what a run with it can be resumed with."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.optim import SGD

from normreg_plugins import (
    AdaptiveWeightShrink,
    Method,
    SphereDescent,
    WeightDecay,
    WeightRescaling,
    register_method,
)
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts import methods
from normreg_plugins.hosts.methods import (
    MethodKeyError,
    ResumeError,
    build_method,
    build_regularizer,
    guard_resume,
    take_method,
)


@dataclass(frozen=True, repr=False)
class Mine(Method):
    size: float = 1.5


class NoDataclass(Method):
    pass


@dataclass(frozen=True, repr=False)
class WithType(Method):
    type: str = ""


@dataclass(frozen=True, repr=False)
class NeedsSize(Method):
    size: int


@pytest.fixture(autouse=True)
def _registry_as_it_was():
    before = dict(methods.METHODS)
    yield
    methods.METHODS.clear()
    methods.METHODS.update(before)


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("norm.cap", Mine, "name='norm.cap': must be a word"),
        ("", Mine, "name='': must be a word"),
        (Mine, "Mine", "name=<class .*must be a word"),
        ("Mine", Mine(), r"method=Mine\(size=1.5\): must be a subclass of .*Method, not an object"),
        ("Mine", int, "method=<class 'int'>: must be a subclass"),
        ("Mine", NoDataclass, r"NoDataclass must be a dataclass: write @dataclass\(frozen=True, repr=False\)"),
        ("Mine", WithType, "WithType has an option 'type', which hosts use themselves"),
        ("wrs", Mine, "a method named 'WRS' exists already: choose another name than 'wrs'"),
    ],
)
def test_bad_registrations_are_refused(name, method, message) -> None:
    before = dict(methods.METHODS)
    with pytest.raises(NormRegError, match=message):
        register_method(name, method)
    assert before == methods.METHODS


def test_a_class_that_is_defined_again_replaces_the_old_one() -> None:
    register_method("Mine", Mine)
    again = dataclass(frozen=True, repr=False)(type("Mine", (Method,), {"__module__": __name__}))
    register_method("mine", again)
    assert methods.METHODS["Mine"] is again


def test_methods_that_cannot_be_built_are_refused() -> None:
    register_method("NeedsSize", NeedsSize)
    with pytest.raises(NormRegError, match="NeedsSize needs size, which have no default"):
        build_method("NeedsSize", {})
    with pytest.raises(NormRegError, match=r"'Other' is unknown.*import the module that registers it"):
        build_method("Other", {})


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"epochs": 1}, None),
        ({"wrs": True}, WeightRescaling()),
        ({"wd": True}, WeightDecay()),
        ({"aws": None}, AdaptiveWeightShrink()),
        ({"pgd": {"c": 1.5}, "pgd.center": False}, SphereDescent(c=1.5, center=False)),
        ({"wrs": {"interval": 7, "radius": 2.0}, "wrs.interval": 5}, WeightRescaling(interval=5, radius=2.0)),
        (
            {"wrs.select": "model.0.*", "wrs.decay_on": "norm_layers"},
            WeightRescaling(select="model.0.*", decay_on="norm_layers"),
        ),
    ],
)
def test_keys_describe_a_method(settings, method) -> None:
    assert take_method(settings) == method


def test_keys_of_a_method_are_taken_and_those_of_the_host_stay() -> None:
    settings = {"model": "yolov3.yaml", "wrs.interval": 3, "epochs": 2, "wrs.output_layers": ["head"]}
    assert take_method(settings) == WeightRescaling(interval=3, output_layers=("head",))
    assert settings == {"model": "yolov3.yaml", "epochs": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wrs.intervall": 3}, r"WRS has no option 'intervall' \(did you mean 'interval'\?\)"),
        ({"aws.tau": 3}, "AWS has no option 'tau'.* it has .*alpha, "),
        ({"wrs": 10}, r"wrs=10: write wrs\.OPTION=VALUE"),
        ({"wrs": True, "pgd": True}, "wrs and pgd: use one method per run"),
        ({"wrs.interval": 0}, "interval=0: must be a whole number"),
    ],
)
def test_keys_without_a_meaning_are_refused(settings, message) -> None:
    with pytest.raises(NormRegError, match=message):
        take_method(settings)


def saved_state(method):
    """The state of an optimizer that made a step, by a run with this method."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    optimizer = SGD([{"params": net[0].parameters()}, {"params": net[1:].parameters()}], lr=0.1, momentum=0.9)
    if method is not None:
        guard_resume(optimizer, method, "NEW RUN")
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return optimizer, optimizer.state_dict()


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (WeightRescaling(), SphereDescent(), "with {'method': 'WeightRescaling'.*has {'method': 'SphereDescent'"),
        (
            WeightRescaling(interval=4),
            WeightRescaling(interval=5),
            "with {'interval': 4}, this run has {'interval': 5}",
        ),
        (WeightRescaling(), WeightRescaling(select=("conv*",)), r"with {'select': None}.*{'select': \('conv\*',\)}"),
        (WeightRescaling(), WeightRescaling(decay_on="all"), "with {'decay_on': '.*'}.*{'decay_on': 'all'}"),
        (WeightRescaling(), WeightRescaling(radius="initial"), r"with {'radius': 1\.0}.*{'radius': 'initial'}"),
        (None, WeightRescaling(), "was trained without a method, this run has WeightRescaling"),
    ],
)
def test_a_run_is_not_resumed_with_another_method_or_setting(before, now, message) -> None:
    _, saved = saved_state(before)
    with pytest.raises(ResumeError, match=f"{message}.*begin a new run: NEW RUN"):
        saved_state(now)[0].load_state_dict(saved)
    if before is not None:
        saved_state(before)[0].load_state_dict(saved)


def test_a_checkpoint_with_other_groups_is_refused() -> None:
    _, saved = saved_state(WeightRescaling())
    saved["param_groups"][1]["params"].pop()
    with pytest.raises(
        ResumeError, match=r"groups of \[1, 5\] parameters, this run has groups of \[1, 6\]: was freeze"
    ):
        saved_state(WeightRescaling())[0].load_state_dict(saved)


@pytest.mark.parametrize(
    ("regularizer", "message"),
    [
        ({"type": "WSR"}, "method 'WSR' is unknown .*use one of WD, WRS, AWS, PGD"),
        ({"interval": 3}, "must be a dict with a type"),
        ("WRS", "must be a dict with a type"),
        (None, "regularizer=None: must be a dict with a type"),
        ({"type": "PGD", "alpha": 0.1}, "PGD has no option 'alpha'.* it has select, c, center"),
        ({"type": "AWS", "alpha": -0.1}, "alpha=-0.1: must be"),
    ],
)
def test_a_bad_regularizer_of_a_config_is_refused(regularizer, message) -> None:
    with pytest.raises(NormRegError, match=message):
        build_regularizer(regularizer)


@pytest.mark.ultralytics
def test_a_name_that_ultralytics_has_is_refused() -> None:
    pytest.importorskip("ultralytics")
    from normreg_plugins.hosts.ultralytics import take_method as take

    register_method("Box", Mine)
    with pytest.raises(MethodKeyError, match="Box cannot be a method's name here: the host has a key 'box'"):
        take({})
