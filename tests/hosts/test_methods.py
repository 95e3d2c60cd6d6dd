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


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"epochs": 1}, None),
        ({"wd": True}, WeightDecay()),
        ({"aws": None}, AdaptiveWeightShrink()),
        ({"wrs": {"interval": 7, "radius": 2.0}, "wrs.interval": 5}, WeightRescaling(interval=5, radius=2.0)),
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
    """An optimizer that made a step in a run with this method, and its state."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    optimizer = SGD(net.parameters(), lr=0.1, momentum=0.9)
    if method is not None:
        guard_resume(optimizer, method, "NEW RUN")
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return optimizer, optimizer.state_dict()


SELECTED = WeightRescaling(select=("conv*",), interval=4)


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (WeightRescaling(), SphereDescent(), "with {'method': 'WeightRescaling'.*has {'method': 'SphereDescent'"),
        (
            SELECTED,
            WeightRescaling(interval=5),
            r"{'select': \('conv\*',\), 'interval': 4}.*{'select': None, 'inter.*5}",
        ),
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


@pytest.mark.parametrize(
    ("regularizer", "message"),
    [
        (
            {"type": "WSR"},
            "method 'WSR' is unknown .*use one of WD, WRS, AWS, PGD.* or import the module",
        ),
        ("WRS", "must be a dict with a type"),
        (None, "regularizer=None: must be a dict with a type"),
        ({"type": "PGD", "alpha": 0.1}, "PGD has no option 'alpha'.* it has select, c, center"),
        ({"type": "PGD", "interval": 10}, r"inherits those of another method: .*_delete_=True, type='PGD'"),
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
