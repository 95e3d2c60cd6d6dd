"""Hyperball against a slow reference, one part of a weight after another in float64, around every optimizer."""

import copy
import math

import pytest
import torch
from helpers import oracle
from helpers.layer_cases import LAYERS, batch_norm_for, make_layer
from helpers.measures import EXACT, as_trained, relative_error
from helpers.optimizers import FUSED_ON_CPU, OPTIMIZERS, can_step
from helpers.training import loss_on, same_state, see_batch, tiny_net, train
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from normreg_plugins import Hyperball, attach, find_scale_invariant
from normreg_plugins.core.errors import NormRegError

LR = 0.05
STEPPING = [(name, dtype) for name in OPTIMIZERS for dtype in EXACT if can_step(name, dtype)]


def parts_of(layer: nn.Module, weight: Tensor, per: str) -> list[Tensor]:
    """Views of what has one norm: the whole weight, or each filter."""
    return [weight] if per == "layer" else oracle.filters(layer, weight)


def turned(layer: nn.Module, before: Tensor, after: Tensor, radii: list[float], per: str) -> Tensor:
    """arXiv 2606.16899: W <- R normalize(W + eta R normalize(u)), where u is the optimizer's own step."""
    result = before.detach().double().clone()
    step = after.detach().double() - result
    for part, u, radius in zip(parts_of(layer, result, per), parts_of(layer, step, per), radii, strict=True):
        if oracle.length(u) > 0:
            part += LR * radius * u / oracle.length(u)
        part *= radius / oracle.length(part)
    return result


@pytest.mark.parametrize(("optimizer", "dtype"), STEPPING, ids=str)
@pytest.mark.parametrize("per", ["layer", "filter"])
def test_as_the_equation_says(per: str, optimizer: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layers = {kind: make_layer(kind, bias=i % 2 == 0) for i, kind in enumerate(LAYERS)}
    net = nn.ModuleDict({kind: nn.Sequential(layer, batch_norm_for(layer)) for kind, layer in layers.items()})
    as_trained(net).to(dtype)
    twin = copy.deepcopy(net)
    radii = {k: [oracle.length(p) for p in parts_of(net[k][0], net[k][0].weight, per)] for k in net}
    statistics = {name: value.clone() for name, value in net.named_buffers()}
    ours, plain = (OPTIMIZERS[optimizer](n.parameters(), LR) for n in (net, twin))
    attach(ours, net, Hyperball(per=per), proof=find_scale_invariant(net))
    for _ in range(3):
        for p, q in zip(net.parameters(), twin.parameters()):
            p.grad = torch.randn(p.shape).to(p)
            q.grad = p.grad.clone()
        before = {kind: layer.weight.detach().clone() for kind, (layer, _) in twin.items()}
        ours.step()
        plain.step()
        for kind, (layer, _) in twin.items():
            with torch.no_grad():
                layer.weight.copy_(turned(layer, before[kind], layer.weight, radii[kind], per))
            assert relative_error(net[kind][0].weight, layer.weight) <= 4 * EXACT[dtype], kind
            twin[kind][0].load_state_dict(net[kind][0].state_dict())  # so that rounding does not add up
    for name, value in net.named_buffers():
        assert torch.allclose(value.double(), statistics[name].double(), rtol=8 * EXACT[dtype], atol=1e-6), name


@pytest.mark.parametrize("make", [SGD, AdamW])
@pytest.mark.parametrize("lr", [0.1, 0.01])
def test_the_rate_is_the_angle_whatever_the_optimizer(make, lr: float) -> None:
    """The rate is the tangent of the angle where the step is tangential, as the gradient of such a weight is."""
    net = tiny_net()
    optimizer = make(net.parameters(), lr=lr)
    attach(optimizer, net, Hyperball(per="filter"))
    before = net[0].weight.detach().flatten(1).double().clone()
    train(net, optimizer, 1)
    after = net[0].weight.detach().flatten(1).double()
    angles = torch.acos(torch.cosine_similarity(before, after))
    assert torch.allclose(angles, torch.full_like(angles, math.atan(lr)), rtol=0.02 if make is SGD else 0.3)
    assert torch.allclose(before.norm(dim=1), after.norm(dim=1), rtol=1e-6)


def test_a_filter_without_a_gradient_stays() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, Hyperball(per="filter"), forward=see_batch)
    before = net[0].weight.detach().clone()
    loss_on(net, 0).backward()
    net[0].weight.grad[1:] = 0
    optimizer.step()
    assert torch.allclose(net[0].weight[1:], before[1:], rtol=1e-6)
    assert not torch.allclose(net[0].weight[0], before[0], rtol=1e-3)


@pytest.mark.parametrize("load_first", [False, True])
@pytest.mark.parametrize("make", [SGD, AdamW])
def test_a_resume_is_exact(tmp_path, make, load_first: bool) -> None:
    net = tiny_net()
    optimizer = make(net.parameters(), lr=0.1, weight_decay=0.0)
    attach(optimizer, net, Hyperball())
    train(net, optimizer, 3)
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "half.pt")
    train(net, optimizer, 3, first=3)
    saved = torch.load(tmp_path / "half.pt", weights_only=True)
    twin = tiny_net(5)
    twin.load_state_dict(saved["net"])
    resumed = make(twin.parameters(), lr=0.1, weight_decay=0.0)
    if load_first:
        resumed.load_state_dict(saved["optimizer"])
    attach(resumed, twin, Hyperball())
    resumed.load_state_dict(saved["optimizer"])
    train(twin, resumed, 3, first=3)
    assert same_state(net, twin)


@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch.amp.GradScaler: torch >= 2.3")
@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=pytest.mark.skipif(not FUSED_ON_CPU, reason="old"))])
def test_a_skipped_step_turns_nothing(fused: bool) -> None:
    net, twin = tiny_net(), tiny_net()
    optimizer, plain = (AdamW(n.parameters(), lr=0.1, fused=fused) for n in (net, twin))
    handle = attach(optimizer, net, Hyperball())
    attach(plain, twin, Hyperball())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    for index in range(5):
        optimizer.zero_grad()
        scaler.scale(loss_on(net, index)).backward()
        if index in (0, 3):
            net[8].weight.grad[0, 0] = torch.inf
        before = [p.detach().clone() for p in net.parameters()]
        scaler.step(optimizer)
        scaler.update()
        assert all(map(torch.equal, net.parameters(), before)) == (index in (0, 3))
    for index in (1, 2, 4):
        train(twin, plain, 1, first=index)
    assert handle.updates == 3
    assert all(torch.allclose(p, q, atol=1e-5) for p, q in zip(net.parameters(), twin.parameters()))


def test_the_function_is_kept_when_rounded_weights_are_put_back() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, Hyperball(per="filter"))
    train(net, optimizer, 2)
    norms = net[0].weight.detach().flatten(1).norm(dim=1)
    before = net[1].running_var.clone()
    with torch.no_grad():
        net[0].weight.mul_(2)
    handle.reapply()
    assert torch.allclose(net[0].weight.flatten(1).norm(dim=1), norms, rtol=1e-6)
    assert torch.allclose(net[1].running_var, (before + net[1].eps) / 4 - net[1].eps, rtol=1e-4)


@pytest.mark.skipif(not FUSED_ON_CPU, reason="fused optimizers on a CPU: torch >= 2.4")
def test_weights_that_are_loaded_after_a_skipped_step_are_not_turned_back() -> None:
    net = tiny_net()
    optimizer = AdamW(net.parameters(), lr=0.1, fused=True)
    handle = attach(optimizer, net, Hyperball())
    train(net, optimizer, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    scaler.scale(loss_on(net, 1)).backward()
    net[8].weight.grad[0, 0] = torch.inf
    scaler.step(optimizer)
    net.load_state_dict(loaded := tiny_net(4).state_dict())
    handle.reapply()
    ratio = net[0].weight / loaded["0.weight"]
    assert torch.allclose(ratio, ratio[0, 0, 0, 0], rtol=1e-4)


def test_no_copy_of_a_weight_stays_after_an_update() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, Hyperball())
    train(net, optimizer, 2)
    assert all(target.scratch == {} for target in handle._targets)


def test_other_parts_are_refused() -> None:
    with pytest.raises(NormRegError, match="per='position': must be 'layer' or 'filter'"):
        Hyperball(per="position")
