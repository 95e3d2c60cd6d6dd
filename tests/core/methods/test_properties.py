"""What must hold for every filter, whatever its size, scale, dtype and layer."""

import copy
import math

import pytest
import torch
from helpers import oracle
from helpers.layer_cases import LAYERS, batch_norm_for, filters, make_input, make_layer
from helpers.measures import EXACT, as_trained, relative_error, without_eps
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Adam

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach, find_scale_invariant
from normreg_plugins.core import Method
from normreg_plugins.core.errors import NonFiniteWeightWarning

KINDS = st.sampled_from(list(LAYERS))
DTYPES = st.sampled_from(list(EXACT))
SCALES = st.floats(1e-3, 1e3)
SEEDS = st.integers(0, 2**16)


def net_of(kind: str, seed: int, scale: float = 1.0, dtype: torch.dtype = torch.float64, bias: bool = True):
    torch.manual_seed(seed)
    layer = make_layer(kind, bias=bias)
    net = as_trained(nn.Sequential(layer, batch_norm_for(layer))).double()
    with torch.no_grad():
        layer.weight.mul_(scale)
    return net.to(dtype)


def update(net: nn.Module, method: Method, lr: float = 0.1) -> nn.Module:
    """One update with a gradient of zero: what is left is the method's own doing."""
    optimizer = SGD(net.parameters(), lr=lr)
    with attach(optimizer, net, method, proof=find_scale_invariant(net)):
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
    return net


@given(KINDS, DTYPES, SEEDS, st.sampled_from(["filter", "position"]), st.floats(0.1, 8))
@settings(max_examples=20)
def test_rescaled_weights_have_the_norm_and_stay_when_rescaled_again(kind, dtype, seed, per, radius) -> None:
    assume(per == "filter" or kind != "depthwise")  # WRS(IC) refuses filters with one input channel
    method = WeightRescaling(interval=1, radius=radius, per=per)
    net = update(net_of(kind, seed, dtype=dtype), method)
    sizes = [oracle.length(unit) for unit in oracle.units(net[0], net[0].weight.detach().double(), per)]
    assert max(abs(size / radius - 1) for size in sizes) <= EXACT[dtype]
    again = update(copy.deepcopy(net), method)
    assert relative_error(again[0].weight, net[0].weight) <= EXACT[dtype]


@given(KINDS, DTYPES, SEEDS, st.floats(0.1, 8))
@settings(max_examples=20)
def test_weights_on_the_sphere_are_centred_and_stay_when_projected_again(kind, dtype, seed, c) -> None:
    method = SphereDescent(c=c)
    net = update(net_of(kind, seed, dtype=dtype), method)
    for f in filters(net[0], net[0].weight.detach().double()):
        assert abs(oracle.length(f) ** 2 / c - 1) <= 2 * EXACT[dtype]
        assert abs(oracle.mean(f)) <= EXACT[dtype] * math.sqrt(c)
    again = update(copy.deepcopy(net), method)
    assert relative_error(again[0].weight, net[0].weight) <= 2 * EXACT[dtype]


@given(KINDS, SEEDS, SCALES)
@settings(max_examples=20)
def test_a_rescale_forgets_the_scale_and_keeps_the_direction(kind, seed, scale) -> None:
    method = WeightRescaling(interval=1)
    before = net_of(kind, seed)
    large, small = update(net_of(kind, seed, scale), method), update(net_of(kind, seed), method)
    assert relative_error(large[0].weight, small[0].weight) <= 1e-12
    for old, new in zip(filters(before[0], before[0].weight), filters(small[0], small[0].weight)):
        assert abs(float(torch.cosine_similarity(old.flatten(), new.flatten(), dim=0)) - 1) <= 1e-12


@given(KINDS, SEEDS, st.floats(0, 100), st.sampled_from(["norm", "std"]))
@settings(max_examples=20)
def test_a_shrink_never_grows_and_never_turns_a_filter_round(kind, seed, alpha, measure) -> None:
    before = net_of(kind, seed)
    after = update(copy.deepcopy(before), AdaptiveWeightShrink(alpha, measure))
    for old, new in zip(filters(before[0], before[0].weight.detach()), filters(after[0], after[0].weight.detach())):
        assert new.norm() <= old.norm()
        assert (old.flatten() @ new.flatten()) >= 0
        assert relative_error(new * old.norm(), old * new.norm()) <= 1e-12 or new.norm() == 0


@given(KINDS, DTYPES, SEEDS, st.sampled_from([WeightRescaling(interval=1), AdaptiveWeightShrink(), SphereDescent()]))
@settings(max_examples=20)
def test_zero_filters_stay_zero_and_leave_their_statistics_alone(kind, dtype, seed, method) -> None:
    net = net_of(kind, seed, dtype=dtype)
    with torch.no_grad():
        filters(net[0], net[0].weight)[1].zero_()
    mean, var = net[1].running_mean.clone(), net[1].running_var.clone()
    update(net, method)
    assert all(f.isfinite().all() for f in filters(net[0], net[0].weight))
    assert not filters(net[0], net[0].weight)[1].any()
    assert torch.equal(net[1].running_mean[1], mean[1])
    assert torch.equal(net[1].running_var[1], var[1])


@given(KINDS, DTYPES, SEEDS, st.sampled_from([math.nan, math.inf, -math.inf]))
@settings(max_examples=15)
def test_a_broken_filter_does_not_spread(kind, dtype, seed, poison) -> None:
    sound = net_of(kind, seed, dtype=dtype)
    broken = copy.deepcopy(sound)
    with torch.no_grad():
        filters(broken[0], broken[0].weight)[0].select(0, 0).fill_(poison)
    for method in (WeightRescaling(interval=1), AdaptiveWeightShrink(), SphereDescent()):
        with pytest.warns(NonFiniteWeightWarning, match=r"NaN or Inf in 0.weight \(1 filters\)"):
            ours = update(copy.deepcopy(broken), method)
        reference = update(copy.deepcopy(sound), method)
        pairs = zip(filters(ours[0], ours[0].weight), filters(reference[0], reference[0].weight))
        assert all(torch.equal(mine, theirs) for mine, theirs in list(pairs)[1:])
        assert torch.equal(ours[1].running_mean[1:], reference[1].running_mean[1:])
        assert torch.equal(ours[1].running_var[1:], reference[1].running_var[1:])


def test_a_centred_filter_does_not_see_the_mean_of_its_input() -> None:
    """Constrained paper, eq. 5."""
    layer = nn.Linear(10, 4, bias=False).double()
    attach(SGD(layer.parameters(), lr=0.1), layer, SphereDescent(), select="weight", proof=find_scale_invariant(layer))
    x = torch.randn(5, 10, dtype=torch.float64)
    assert relative_error(layer(x + 100.0), layer(x)) < 1e-11


@pytest.mark.parametrize("centred_alone", [False, True])
@given(KINDS, SEEDS)
@settings(max_examples=5)
def test_means_stay_zero_under_adam(centred_alone, kind, seed) -> None:
    """Adam scales a zero-mean gradient entry by entry, so centring the gradient alone (the paper's Algorithm 1)
    loses the constraint of eq. 2; the method does not."""
    net = without_eps(net_of(kind, seed))
    layer, x = net[0], make_input(net[0], 8).double()

    def centre(*_: object) -> None:
        layer.weight.grad.copy_(oracle.centred(layer, layer.weight.grad))

    optimizer = Adam(net.parameters(), lr=1e-2)
    handle = attach(optimizer, net, SphereDescent())
    if centred_alone:
        handle.detach()
        optimizer.register_step_pre_hook(centre)
    for _ in range(20):
        optimizer.zero_grad()
        net(x).relu().mean().backward()
        optimizer.step()
    means = [abs(oracle.mean(f)) for f in filters(layer, layer.weight)]
    if centred_alone:
        assert max(means) > 1e-6
    else:
        assert max(means) < 1e-14
        assert oracle.lengths(layer, layer.weight) == pytest.approx([math.sqrt(2)] * len(means), rel=1e-12)
