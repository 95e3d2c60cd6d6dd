"""WRS with radius='initial': each filter keeps the norm that it had when training began."""

import copy

import pytest
import torch
from helpers import oracle
from helpers.measures import change, outputs, relative_error
from helpers.optimizers import OPTIMIZERS
from helpers.training import INVARIANT, lengths, same_state, see_batch, tiny_net, train
from torch import nn
from torch.optim import SGD, AdamW

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.errors import NormRegError

INITIAL = WeightRescaling(interval=2, radius="initial")
OPTIMIZER = {"SGD": lambda p: SGD(p, lr=0.1, momentum=0.9), "AdamW": lambda p: AdamW(p, lr=1e-2, weight_decay=0.0)}


def attached(net: nn.Module, optimizer: str = "SGD", method: WeightRescaling = INITIAL):
    made = OPTIMIZER[optimizer](net.parameters())
    return made, attach(made, net, method)


def norms(net: nn.Module) -> list[torch.Tensor]:
    return [lengths(net, name) for name in INVARIANT]


def close(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.allclose(one, other, rtol=1e-6) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_filter_keeps_its_own_norm(optimizer: str) -> None:
    """Against the oracle, which scales one filter after another in float64."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 5, 3, bias=False)
    layer.weight.data.mul_(torch.linspace(0.3, 7, 5).view(-1, 1, 1, 1))
    net = nn.Sequential(layer, nn.BatchNorm2d(5))
    twin = copy.deepcopy(net)
    start = oracle.lengths(layer, layer.weight)
    ours, plain = (OPTIMIZERS[optimizer](n.parameters(), 0.05) for n in (net, twin))
    attach(ours, net, WeightRescaling(interval=2, radius="initial"), forward=lambda m: m(torch.randn(2, 4, 8, 8)))
    for update in range(1, 5):
        for p, q in zip(net.parameters(), twin.parameters()):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        ours.step()
        plain.step()
        if update % 2 == 0:
            units = zip(twin[0].weight.detach(), start)
            expected = torch.stack([unit.double() * r / oracle.length(unit) for unit, r in units])
            assert relative_error(net[0].weight, expected) < 1e-6
            twin.load_state_dict({**twin.state_dict(), "0.weight": expected})
        else:
            assert relative_error(net[0].weight, twin[0].weight) < 1e-6


def test_the_function_is_kept() -> None:
    net = tiny_net()
    train(net, SGD(net.parameters(), lr=0.1), 3)
    optimizer, handle = attached(net)
    train(net, optimizer, 3)
    before = outputs(net, see_batch, train=False)
    moved = norms(net)
    handle.reapply()
    assert not close(moved, norms(net))
    assert change(before, outputs(net, see_batch, train=False)) < 1e-4


def test_norms_of_weights_loaded_after_attaching_count() -> None:
    net, other = tiny_net(), tiny_net(1)
    optimizer, _ = attached(net)
    net.load_state_dict(other.state_dict())
    train(net, optimizer, 4)
    assert close(norms(net), norms(other))
    assert not close(norms(net), norms(tiny_net()))


@pytest.mark.parametrize("load_first", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZER)
def test_a_resume_is_exact(tmp_path, optimizer: str, load_first: bool) -> None:
    net = tiny_net()
    whole, _ = attached(net, optimizer)
    train(net, whole, 5)
    torch.save({"net": net.state_dict(), "optimizer": whole.state_dict()}, tmp_path / "half.pt")
    train(net, whole, 5, first=5)

    saved = torch.load(tmp_path / "half.pt", weights_only=True)
    twin = tiny_net(7)
    twin.load_state_dict(saved["net"])
    resumed = OPTIMIZER[optimizer](twin.parameters())
    if load_first:
        resumed.load_state_dict(saved["optimizer"])
    handle = attach(resumed, twin, INITIAL)
    if not load_first:
        resumed.load_state_dict(saved["optimizer"])
    train(twin, resumed, 5, first=5)
    assert handle.updates == 10
    assert same_state(net, twin)
    assert close(norms(twin), norms(tiny_net()))


def test_a_copy_goes_on_as_the_original() -> None:
    """A copied optimizer loses its hooks, but its state holds the norms, although it was never saved."""
    net = tiny_net()
    optimizer, _ = attached(net)
    train(net, optimizer, 3)
    twin, other = copy.deepcopy((net, optimizer))
    attach(other, twin, INITIAL)
    for one, its in ((net, optimizer), (twin, other)):
        train(one, its, 3, first=3)
    assert same_state(net, twin)


@pytest.mark.parametrize("load_first", [False, True])
def test_the_state_of_a_run_with_one_radius_is_refused_by_name(load_first: bool) -> None:
    net = tiny_net()
    optimizer, _ = attached(net, method=WeightRescaling(interval=2))
    train(net, optimizer, 3)
    saved = optimizer.state_dict()
    fresh = OPTIMIZER["SGD"](net.parameters())
    steps = [lambda: attach(fresh, net, INITIAL), lambda: fresh.load_state_dict(saved)]
    first, second = reversed(steps) if load_first else steps
    first()
    with pytest.raises(
        NormRegError,
        match=r"0\.weight: the loaded state lacks radius.*by another method or with",
    ):
        second()


def test_a_state_that_was_saved_before_the_first_update_starts_anew() -> None:
    net = tiny_net()
    optimizer, _ = attached(net)
    saved = optimizer.state_dict()
    fresh, _ = attached(tiny := tiny_net(1))
    fresh.load_state_dict(saved)
    train(tiny, fresh, 2)
    assert close(norms(tiny), norms(tiny_net(1)))


def test_a_rate_tuned_without_the_method_turns_filters_as_before() -> None:
    """The first update turns each filter by the same angle as plain training; radius 1 changes that angle."""

    def angles(method: WeightRescaling | None) -> torch.Tensor:
        net = tiny_net()
        net[0].weight.data.mul_(1.7 / lengths(net).view(-1, 1, 1, 1))
        optimizer = SGD(net.parameters(), lr=0.1)
        if method:
            attach(optimizer, net, method)
            train(net, optimizer, 2)  # by then radius 1 has acted once
        else:
            train(net, optimizer, 2)
        before = net[0].weight.detach().flatten(1).clone()
        train(net, optimizer, 1, first=2)
        return torch.acos(torch.cosine_similarity(before.double(), net[0].weight.detach().flatten(1).double()))

    plain, initial = angles(None), angles(INITIAL)
    unit = angles(WeightRescaling(interval=2))
    assert torch.allclose(plain, initial, rtol=0.02)
    assert torch.allclose(unit / plain, torch.full_like(plain, 1.7**2), rtol=0.1)


@pytest.mark.parametrize("radius", ["first", 0, -1, True, float("nan"), None])
def test_what_is_no_radius_is_refused(radius) -> None:
    with pytest.raises(NormRegError, match=r"radius=.*a finite number above 0, or 'initial'"):
        WeightRescaling(radius=radius)


def test_zero_filters_stay_zero() -> None:
    net = tiny_net()
    net[0].weight.data[2] = 0
    optimizer, handle = attached(net)
    train(net, optimizer, 2)
    assert handle.zero_filters == {"0.weight": 1}
    assert net[0].weight.isfinite().all()


@pytest.mark.parametrize("damaged", [3, [], {"0.weight": 1.0}, "radius of another shape", "radius that is no tensor"])
def test_kept_norms_that_do_not_fit_are_refused(damaged) -> None:
    net = tiny_net()
    optimizer, _ = attached(net)
    train(net, optimizer, 2)
    saved = copy.deepcopy(optimizer.state_dict())
    entry = saved["param_groups"][0]["normreg_plugins"]
    if damaged == "radius of another shape":
        entry["weights"]["0.weight"]["radius"] = torch.ones(2)
    elif damaged == "radius that is no tensor":
        entry["weights"]["0.weight"]["radius"] = [1.0] * 6
    else:
        entry["weights"] = damaged
    with pytest.raises(NormRegError, match=r"0\.weight: the loaded state lacks radius"):
        optimizer.load_state_dict(saved)
