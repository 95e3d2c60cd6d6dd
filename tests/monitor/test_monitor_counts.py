"""What a monitor counts, what it asks of the device, and how it goes on after a resume."""

import copy
import math
from importlib.util import find_spec

import pytest
import torch
from helpers.optimizers import FUSED_ON_CPU
from helpers.training import loss_on, tiny_net, train
from torch.optim import SGD, AdamW
from torch.utils._python_dispatch import TorchDispatchMode

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.monitor import Monitor

ETA = 0.05


class NoWaiting(TorchDispatchMode):
    """Raises where a value is read from a tensor, which on a GPU makes the host wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(func), "the host reads a value"
        return func(*args, **(kwargs or {}))


def test_a_report_reads_no_single_values() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA, momentum=0.9)
    monitor = Monitor(optimizer, net, every=2)
    for index in range(4):
        optimizer.zero_grad()
        loss_on(net, index).backward()
        with NoWaiting():
            optimizer.step()
    assert monitor.last.update == 4


@pytest.mark.skipif(not FUSED_ON_CPU, reason="fused optimizers on a CPU: torch >= 2.4")
def test_updates_that_a_fused_optimizer_skips_are_not_counted() -> None:
    net = tiny_net()
    optimizer = AdamW(net.parameters(), lr=ETA, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    reports = []
    Monitor(optimizer, net, every=2, sinks=[reports.append])
    handle = attach(optimizer, net, WeightRescaling(interval=2))
    counts = []
    for call in range(1, 9):
        optimizer.zero_grad()
        scaler.scale(loss_on(net, call)).backward()
        if call in (2, 5, 6):
            net[0].weight.grad[0] = math.inf
        true_gradient = net[0].weight.grad.norm() / scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        if len(reports) > len(counts):
            counts.append(handle.updates)
            assert reports[-1].layers["0.weight"].gradient_norm == pytest.approx(float(true_gradient), rel=1e-5)
    assert [report.update for report in reports] == counts == [2, 4]


def test_accumulation_counts_updates_not_backward_passes() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=2)
    for index in range(8):
        loss_on(net, index).backward()
        if index % 2:
            optimizer.step()
            optimizer.zero_grad()
    assert monitor.last.update == 4


def test_a_closure_is_one_update() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=1)

    def closure():
        optimizer.zero_grad()
        loss = loss_on(net, 0)
        loss.backward()
        return loss

    before = net[0].weight.detach().clone()
    optimizer.step(closure)
    assert monitor.last.update == 1
    assert monitor.last.layers["0.weight"].rotation_degrees > 0
    assert monitor.last.layers["0.weight"].effective_gradient_norm == pytest.approx(
        float(net[0].weight.grad.norm() / before.norm())
    )


def start(with_method: bool, updates: int = 0):
    net, reports = tiny_net(), []
    optimizer = SGD(net.parameters(), lr=ETA, momentum=0.9)
    if with_method:
        attach(optimizer, net, WeightRescaling(interval=2))
    return net, optimizer, reports, Monitor(optimizer, net, every=3, sinks=[reports.append], updates=updates)


@pytest.mark.parametrize("with_method", [True, False])
def test_a_resumed_run_reports_as_the_unbroken_one(with_method: bool) -> None:
    net, optimizer, unbroken, _ = start(with_method)
    train(net, optimizer, 4)
    saved = copy.deepcopy({"net": net.state_dict(), "optimizer": optimizer.state_dict()})
    train(net, optimizer, 5, first=4)
    net, optimizer, resumed, _ = start(with_method, updates=0 if with_method else 4)
    net.load_state_dict(saved["net"])
    optimizer.load_state_dict(saved["optimizer"])
    train(net, optimizer, 5, first=4)
    assert [report.update for report in resumed] == [6, 9]
    assert {report.since for report in resumed} == {4}
    assert [repr(report.layers) for report in resumed] == [repr(report.layers) for report in unbroken[1:]]  # has NaN


@pytest.mark.skipif(find_spec("torch.distributed.checkpoint.state_dict") is None, reason="torch >= 2.2")
def test_a_distributed_checkpoint_carries_the_count_of_a_method() -> None:
    """To have a state to load into, torch lets the new optimizer step with rate 0. That is no update."""
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    net, optimizer, *_ = start(with_method=True)
    train(net, optimizer, 4)
    saved = copy.deepcopy(get_state_dict(net, optimizer))
    net, optimizer, resumed, monitor = start(with_method=True)
    get_state_dict(net, optimizer)
    assert monitor.updates == 0
    set_state_dict(net, optimizer, model_state_dict=saved[0], optim_state_dict=saved[1])
    assert monitor.updates == 4
    train(net, optimizer, 5, first=4)
    assert [(report.update, report.since) for report in resumed] == [(6, 4), (9, 4)]
