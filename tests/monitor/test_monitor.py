"""The monitor against a slow reference, and what it must not do to a training."""

import math
from functools import partial

import pytest
import torch
from helpers import monitor_oracle as slow
from helpers import oracle
from helpers.training import INVARIANT, loss_on, same_state, tiny_net, train
from torch import nn
from torch.optim import SGD, Adam, AdamW

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightDecay, WeightRescaling, attach
from normreg_plugins.core.errors import NormRegError, SelectionError
from normreg_plugins.layers import convert
from normreg_plugins.monitor import Monitor, Report

ETA = 0.05


def adamp(parameters, lr, **options):
    return pytest.importorskip("timm.optim").AdamP(parameters, lr=lr, **options)


NAMED = {
    "SGD": (partial(SGD, weight_decay=1e-2), slow.gradient_itself),
    "SGD momentum": (partial(SGD, momentum=0.9), slow.gradient_itself),
    "SGD nesterov": (partial(SGD, momentum=0.9, nesterov=True), slow.gradient_itself),
    "Adam": (partial(Adam, weight_decay=1e-2), slow.adam(decay=1e-2)),
    "Adam amsgrad": (partial(Adam, amsgrad=True, betas=(0.9, 0.5)), slow.adam(beta2=0.5, amsgrad=True)),
    "Adam foreach": (partial(Adam, foreach=True, betas=(0.8, 0.9)), slow.adam(0.8, 0.9)),
    "AdamW": (partial(AdamW, weight_decay=1e-1), slow.adam()),
    "AdamP": (adamp, slow.adam()),
}
METHODS = {
    "none": None,
    "WRS": WeightRescaling(interval=2),
    "AWS": AdaptiveWeightShrink(alpha=0.1),
    "PGD": SphereDescent(),
}


def net_of_many_layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 3, groups=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, groups=2, stride=2),
        nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


MONITORED = ("0.weight", "3.weight", "6.weight")


def batch_loss(net: nn.Module, index: int):
    generator = torch.Generator().manual_seed(index)
    x = torch.randn(8, 3, 8, 8, generator=generator).to(next(net.parameters()))
    return nn.functional.cross_entropy(net(x), torch.randint(4, (8,), generator=generator))


@pytest.mark.parametrize(
    ("name", "method", "dtype"),
    [
        (name, method, (torch.float64, torch.float32)[(i + j) % 2])
        for i, name in enumerate(NAMED)
        for j, method in enumerate(METHODS)
        if name in ("SGD momentum", "Adam") or (i + j) % 4 == 0
    ],
    ids=str,
)
def test_it_agrees_with_the_slow_reference(name: str, method: str, dtype: torch.dtype) -> None:
    make, applied = NAMED[name]
    net = net_of_many_layers().to(dtype)
    optimizer = make(net.parameters(), lr=ETA)
    reports = []
    monitor = Monitor(optimizer, net, every=2, sinks=[reports.append])
    assert monitor.names == MONITORED
    if METHODS[method] is not None:
        if method != "PGD":  # the others set weight decay to 0
            applied = {"Adam": slow.adam()}.get(name, applied)
        attach(optimizer, net, METHODS[method])
    reference = slow.Reference(net, MONITORED, applied)
    if method == "PGD":
        reference.gradient_of = oracle.pgd_gradient
    for update in range(1, 7):
        optimizer.zero_grad()
        batch_loss(net, update).backward()
        reference.around(optimizer.step)
        assert len(reports) == update // 2
        if update % 2 == 0:
            rel = 1e-9 if dtype == torch.float64 else 2e-3
            slow.assert_close(reports[-1].overall, reference.row(ETA), rel)
            for weight in MONITORED:
                slow.assert_close(reports[-1].layers[weight], reference.row(ETA, weight), rel)
    assert [report.update for report in reports] == [2, 4, 6]
    sgd = name.startswith("SGD")
    assert reports[-1].rate_law == ("eta_over_squared_norm" if sgd else "eta_over_norm")


@pytest.mark.parametrize(
    ("make", "method"), [(AdamW, "none"), *((partial(SGD, momentum=0.9, weight_decay=1e-3), each) for each in METHODS)]
)
def test_training_is_the_same_bit_by_bit(make, method: str) -> None:
    trained = []
    for monitored in (False, True):
        net = tiny_net()
        optimizer = make(net.parameters(), lr=ETA)
        if monitored:
            Monitor(optimizer, net, every=2)
        if METHODS[method] is not None:
            attach(optimizer, net, METHODS[method])
        train(net, optimizer, 7)
        trained.append((net, optimizer))
    assert same_state(trained[0][0], trained[1][0])
    states = [[*optimizer.state.items()] for _, optimizer in trained]
    assert len(states[0]) == len(states[1])
    for (_, one), (_, other) in zip(*states):
        assert one.keys() == other.keys()
        assert all(
            torch.equal(torch.as_tensor(one[key]), torch.as_tensor(other[key])) for key in one if one[key] is not None
        )


def test_it_sees_what_the_method_left_in_either_order() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    first = Monitor(optimizer, net, every=3)
    attach(optimizer, net, WeightRescaling(interval=3, radius=0.5))
    second = Monitor(optimizer, net, every=3)
    train(net, optimizer, 3)
    for monitor in (first, second):
        assert monitor.last.overall.least_filter_norm == pytest.approx(0.5, rel=1e-6)
        assert monitor.last.overall.greatest_filter_norm == pytest.approx(0.5, rel=1e-6)


def test_it_sees_what_a_method_left_that_came_during_the_run() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=2)
    train(net, optimizer, 3)
    assert monitor.last.overall.greatest_filter_norm != pytest.approx(0.5, rel=1e-2)
    attach(optimizer, net, WeightRescaling(interval=1, radius=0.5))
    train(net, optimizer, 3, first=3)
    assert monitor.last.update == 6
    assert monitor.last.overall.greatest_filter_norm == pytest.approx(0.5, rel=1e-6)


def test_small_rotations_keep_their_digits_in_float32() -> None:
    net, wide = tiny_net(), tiny_net().double()
    found = []
    for each in (net, wide):
        optimizer = SGD(each.parameters(), lr=1e-5)
        monitor = Monitor(optimizer, each, every=1)
        train(each, optimizer, 1)
        found.append(monitor.last.overall.rotation_degrees)
    assert found[1] < 1e-3
    assert found[0] == pytest.approx(found[1], rel=2e-2)


def test_a_turn_by_more_than_a_right_angle() -> None:
    layer = nn.Linear(2, 3, bias=False)
    layer.weight.data.copy_(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]))
    optimizer = SGD(layer.parameters(), lr=1.0)
    monitor = Monitor(optimizer, layer, every=1, names=["weight"])
    layer.weight.grad = layer.weight.detach() - torch.tensor([[-5.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    optimizer.step()
    row = monitor.last.layers["weight"]
    assert row.rotation_degrees == pytest.approx((180 + 90) / 2)  # the third has no direction any more
    assert row.zero_filters == 1
    assert row.eta_over_norm == pytest.approx((1 / 5 + 1) / 2)


def test_broken_filters_are_counted_and_the_others_measured() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=1, names=["0.weight"])
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    net[0].weight.grad[1, 0, 0, 0] = math.nan
    expected = [ETA / n for i, n in enumerate(oracle.lengths(net[0], net[0].weight)) if i != 1]
    optimizer.step()
    assert monitor.last.overall.broken_filters == 1
    assert math.isnan(monitor.last.overall.filter_norm)
    assert monitor.last.overall.eta_over_norm == pytest.approx(sum(expected) / 5, rel=1e-5)
    assert monitor.last.overall.rotation_degrees == 0.0


@pytest.mark.parametrize(
    "make",
    [
        partial(SGD, lr=0.1, weight_decay=0.05),
        partial(SGD, lr=0.02, weight_decay=0.05, momentum=0.8, nesterov=True),
        partial(SGD, lr=0.1, weight_decay=0.05, momentum=0.8, dampening=0.8),
        partial(AdamW, lr=0.02, weight_decay=0.2, betas=(0.8, 0.99)),
    ],
    ids=["SGD", "nesterov", "dampening", "AdamW"],
)
def test_under_weight_decay_the_rotation_becomes_the_expected_one(make) -> None:
    """Random gradients of a scale-invariant loss: across each filter, and as 1 / ||w||."""
    torch.manual_seed(0)
    layer = nn.Linear(400, 20, bias=False)
    optimizer = make(layer.parameters())
    reports = []
    Monitor(optimizer, layer, every=25, names=["weight"], sinks=[reports.append], warn=None)
    for _ in range(800):
        w = layer.weight.detach()
        unit = w / w.norm(dim=1, keepdim=True)
        noise = torch.randn_like(w)
        layer.weight.grad = (noise - (noise * unit).sum(1, keepdim=True) * unit) / w.norm(dim=1, keepdim=True)
        optimizer.step()
    last = [report.overall for report in reports[-8:]]
    measured = sum(row.rotation_degrees for row in last) / len(last)
    assert measured == pytest.approx(last[-1].expected_rotation_degrees, rel=0.04)


def test_no_rotation_is_expected_where_a_method_sets_the_norm_or_nothing_decays() -> None:
    elsewhere = WeightRescaling(select="3")  # it turns the decay of all but norm layers off
    for method, decay in (
        *((SphereDescent(), 0.1), (WeightRescaling(), 0.1), (elsewhere, 0.1)),
        *((None, 0.0), (WeightDecay(), 0.1)),
    ):
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=ETA, weight_decay=decay)
        monitor = Monitor(optimizer, net, every=1)
        if method is not None:
            attach(optimizer, net, method)
        train(net, optimizer, 1)
        found = monitor.last.layers[INVARIANT[0]].expected_rotation_degrees
        if isinstance(method, WeightDecay):
            assert found == pytest.approx(math.degrees(math.sqrt(2 * ETA * decay)))
        else:
            assert math.isnan(found)


def test_weight_standardized_layers_have_a_rate_of_their_own() -> None:
    """AWS paper, Fig. 2 and 4: eta / sqrt(||w - mean||^2 / n)."""
    net = convert(tiny_net(), "ws", lambda model: model(torch.randn(4, 3, 8, 8)))
    optimizer = SGD(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=1)
    train(net, optimizer, 1)
    stds = [w.double().std(correction=0) for name in monitor.names for w in net.get_parameter(name).detach()]
    assert monitor.last.overall.eta_over_std == pytest.approx(
        float(sum(ETA / std for std in stds) / len(stds)), rel=1e-5
    )
    assert math.isnan(_report_of(tiny_net()).overall.eta_over_std)


def _report_of(net: nn.Module) -> Report:
    optimizer = SGD(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=1)
    train(net, optimizer, 1)
    return monitor.last


def test_a_weight_without_a_gradient_has_no_gradient_norm() -> None:
    net = tiny_net()
    optimizer = Adam(net.parameters(), lr=ETA)
    monitor = Monitor(optimizer, net, every=1)
    loss_on(net, 0).backward()
    net[0].weight.grad = None
    optimizer.step()
    assert math.isnan(monitor.last.layers["0.weight"].gradient_norm)
    assert monitor.last.overall.gradient_norm == monitor.last.layers["3.weight"].gradient_norm
    assert monitor.last.overall.effective_gradient_norm == monitor.last.layers["3.weight"].effective_gradient_norm


def test_a_report_has_the_greatest_running_variance_of_each_norm_layer() -> None:
    net = tiny_net()
    last = _report_of(net)
    greatest = {name: float(net.get_submodule(name).running_var.max()) for name in ("1", "4")}
    assert last.variances == pytest.approx(greatest)
    assert last.scalars()["norms/greatest_variance"] == pytest.approx(max(greatest.values()))


def test_it_saves_nothing_and_leaves_a_plain_optimizer() -> None:
    """torch's distributed checkpoints fail on a key that a checkpoint lacks."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    hooks = lambda: [len(value) for key, value in vars(optimizer).items() if key.endswith("_hooks")]  # noqa: E731
    before = hooks()
    with Monitor(optimizer, net, every=2) as monitor:
        train(net, optimizer, 4)
        plain = SGD(net.parameters(), lr=ETA)
        assert optimizer.state_dict()["param_groups"] == plain.state_dict()["param_groups"]
        assert optimizer.state_dict().keys() == plain.state_dict().keys()
    assert hooks() == before
    train(net, optimizer, 4)
    assert monitor.last.update == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 2.5}, "every=2.5"),
        ({"names": ["7.weight"]}, "'7.weight' is not a weight"),
        ({"names": ["0.bias"]}, "'0.bias' is not a weight"),
        ({"names": ["8.weight"]}, "'8.weight' is in no parameter group of this SGD"),
    ],
)
def test_what_it_cannot_do_it_says(settings, message: str) -> None:
    net = tiny_net()
    with pytest.raises(NormRegError, match=message):
        Monitor(SGD(net[:7].parameters(), lr=ETA), net, **settings)


def test_it_measures_targets_too_and_every_weight_where_none_is_invariant() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=ETA)
    attach(optimizer, net, WeightRescaling(output_layers=("8",)))
    assert Monitor(optimizer, net).names == (*INVARIANT, "8.weight")
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    assert Monitor(SGD(net.parameters(), lr=ETA), net).names == ("0.weight", "2.weight")
    with pytest.raises(SelectionError, match="this SGD has no conv or linear weight of this model"):
        Monitor(SGD(net.parameters(), lr=ETA), nn.ReLU())
