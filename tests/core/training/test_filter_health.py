"""Filters that are zero or contain NaN or Inf are left as they are, counted and named."""

import math
import warnings

import pytest
import torch
from helpers.training import are_unit, attached, lengths, see_batch, set_gradients, tiny_net, train
from torch.optim import SGD, Adam

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import NonFiniteWeightWarning

METHODS = [
    WeightRescaling(interval=1),
    WeightRescaling(interval=1, radius="initial"),
    AdaptiveWeightShrink(alpha=0.1),
    SphereDescent(),
]
per_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)


def step_in_place(net, optimizer, times: int = 1) -> None:
    set_gradients(net)
    for _ in range(times):
        optimizer.step()


@per_method
def test_zero_filters_stay_zero_and_are_counted(method) -> None:
    net = tiny_net()
    with torch.no_grad():
        net[0].weight[[1, 4]] = 0
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, method, forward=see_batch)
    step_in_place(net, optimizer)
    assert handle.zero_filters == {"0.weight": 2}
    assert handle.broken_filters == {}
    assert not net[0].weight[[1, 4]].any()
    assert all(b.isfinite().all() for b in net.buffers())


def test_a_filter_whose_square_underflows_stays_finite() -> None:
    """Its squares underflow, so its norm is computed as 0. To divide by it would give Inf."""
    net = tiny_net()
    with torch.no_grad():
        net[0].weight[2] = 1e-30
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1), forward=see_batch)
    step_in_place(net, optimizer)
    assert net[0].weight.isfinite().all()


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@per_method
def test_broken_filters_are_named_once_and_do_not_spread(method, poison) -> None:
    net, optimizer, handle = attached(method, forward=see_batch)
    with torch.no_grad():
        net[3].weight[5, 0] = poison
    with pytest.warns(NonFiniteWeightWarning, match=r"3\.weight \(1 filters\)") as caught:
        step_in_place(net, optimizer, times=3)
    assert len([w for w in caught if w.category is NonFiniteWeightWarning]) == 1
    assert handle.broken_filters == {"3.weight": 1}
    sound = [i for i in range(8) if i != 5]
    assert net[0].weight.isfinite().all()
    assert net[3].weight[sound].isfinite().all()
    assert net[4].running_mean[sound].isfinite().all()
    assert net[4].running_var[sound].isfinite().all()
    if method is METHODS[0]:
        assert torch.allclose(lengths(net, "3.weight")[sound], torch.ones(7))


def test_a_second_broken_layer_is_named_too() -> None:
    net, optimizer, _ = attached(METHODS[0], forward=see_batch)
    for name in ("3.weight", "0.weight"):
        with torch.no_grad():
            net.get_parameter(name)[0] = math.nan
        with pytest.warns(NonFiniteWeightWarning, match=name.replace(".", r"\.")):
            step_in_place(net, optimizer)


@per_method
def test_finite_weights_cause_no_warning(method) -> None:
    net = tiny_net()
    optimizer = Adam(net.parameters(), lr=1e-2)
    attach(optimizer, net, method)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(net, optimizer, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_dtype_stays_and_norms_are_exact(dtype) -> None:
    net = tiny_net().to(dtype)
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1))
    train(net, optimizer, 2)
    assert {t.dtype for t in (*net.parameters(), *net.buffers()) if t.is_floating_point()} == {dtype}
    error = (lengths(net) - 1).abs().max()
    assert error <= 4 * torch.finfo(dtype).eps
    assert are_unit(net)
