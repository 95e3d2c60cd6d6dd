"""The warnings of a monitor in a plain loop, each provoked; and trainings that need none."""

import logging
import re

import pytest
import torch
from helpers.damage import DAMAGES
from helpers.training import loss_on
from torch import nn
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.monitor import Monitor


def three_convs() -> nn.Sequential:
    """Each with a norm layer behind it, as `0`, `3` and `6`."""
    torch.manual_seed(0)
    parts = []
    for inputs, outputs in ((3, 6), (6, 8), (8, 8)):
        parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def train(net, optimizer, updates: int = 4) -> None:
    for index in range(updates):
        optimizer.zero_grad()
        loss_on(net, index).backward()
        optimizer.step()


def train_on_noise(net, optimizer) -> None:
    """One update. There is nothing to learn, so gradients stay as large as they are."""
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(torch.randn(8, 3, 8, 8)), torch.randint(4, (8,))).backward()
    optimizer.step()


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_kind_is_said_once_with_layer_number_and_remedy(kind: str) -> None:
    net, said = three_convs(), []
    if kind == "great entry":
        net[4] = nn.InstanceNorm2d(8)  # running variances would be greater still
    optimizer = SGD(net.parameters(), lr=0.01)
    Monitor(optimizer, net, every=1, warn=said.append)
    train(net, optimizer)
    assert said == []
    damage = DAMAGES[kind]
    damage.do(net[3], net[4])
    train(net, optimizer)
    assert len(said) == 1
    assert re.match(damage.says.format(layer="3.weight", norm="4"), said[0])
    assert re.search(r"at update 5|in update 5", said[0])


def test_the_default_is_the_log(caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("normreg_plugins"), "handlers", [])  # of a host in another test
    net = three_convs()
    optimizer = SGD(net.parameters(), lr=0.01)
    Monitor(optimizer, net, every=1)
    DAMAGES["fast"].do(net[3], net[4])
    with caplog.at_level(logging.WARNING, "normreg_plugins"):
        train(net, optimizer)
    (record,) = caplog.records
    assert "3.weight turned by" in record.message


@pytest.mark.parametrize(
    ("rate", "decay", "method", "expected"),
    [
        (0.1, 0.2, None, None),  # 1 / (2 eta lambda) = 25 updates lead to equilibrium
        (1e-5, 5e-4, None, "3 of 3 layers are far from the equilibrium"),
        (1e-5, 0.0, None, None),
        (1e-5, 5e-4, WeightRescaling(), None),  # it sets the norms
    ],
    ids=["in equilibrium", "far", "no decay", "WRS"],
)
def test_norms_that_never_came_near_equilibrium_are_named_at_the_end(rate, decay, method, expected) -> None:
    net, said = three_convs(), []
    groups = [{"params": [p for p in net.parameters() if (p.ndim == 4) == convs]} for convs in (True, False)]
    groups[0]["weight_decay"] = decay
    optimizer = SGD(groups, lr=rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    if method is not None:
        attach(optimizer, net, method)
    with Monitor(optimizer, net, every=5, warn=said.append) as monitor:
        for _ in range(200):
            train_on_noise(net, optimizer)
            scheduler.step()
        row = monitor.last.overall
        assert said == []
    if expected is None:
        assert said == []
        assert not row.rotation_degrees > row.expected_rotation_degrees / 2  # at the end of a cosine it never is near
    else:
        (text,) = said
        assert expected in text
        assert "Train longer" in text


def test_a_training_that_failed_is_not_judged() -> None:
    net, said = three_convs(), []
    optimizer = SGD(net.parameters(), lr=1e-5, weight_decay=5e-4)

    def fail() -> None:
        with Monitor(optimizer, net, every=1, warn=said.append):
            train(net, optimizer)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert said == []
