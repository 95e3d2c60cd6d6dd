"""Hyperball against a slow reference, one part of a weight after another in float64, around every optimizer."""

import copy
import math
from functools import partial

import pytest
import torch
from helpers import oracle
from helpers.layer_cases import LAYERS, batch_norm_for, make_layer
from helpers.measures import EXACT, as_trained, relative_error
from helpers.optimizers import FUSED_ON_CPU, OPTIMIZERS, can_step
from helpers.training import attached, lengths, loss_on, see_batch, tiny_net, train
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from normreg_plugins import Hyperball, attach, find_scale_invariant

LR = 0.05
STEPPING = [
    (("layer", "filter")[i % 2], name, dtype)
    for i, name in enumerate(OPTIMIZERS)
    for dtype in dict.fromkeys((torch.float32, [*EXACT][i // 2 % len(EXACT)]))
    if can_step(name, dtype)
]


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


@pytest.mark.parametrize(("per", "optimizer", "dtype"), STEPPING, ids=str)
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
    net, optimizer, _ = attached(Hyperball(per="filter"), partial(make, lr=lr))
    before = net[0].weight.detach().flatten(1).double().clone()
    train(net, optimizer, 1)
    after = net[0].weight.detach().flatten(1).double()
    angles = torch.acos(torch.cosine_similarity(before, after))
    assert torch.allclose(angles, torch.full_like(angles, math.atan(lr)), rtol=0.02 if make is SGD else 0.3)
    assert torch.allclose(before.norm(dim=1), after.norm(dim=1), rtol=1e-6)


def test_a_filter_without_a_gradient_does_not_move() -> None:
    net, optimizer, _ = attached(Hyperball(per="filter"), forward=see_batch)
    before = net[0].weight.detach().clone()
    loss_on(net, 0).backward()
    net[0].weight.grad[1:] = 0
    optimizer.step()
    assert torch.allclose(net[0].weight[1:], before[1:], rtol=1e-6)
    assert not torch.allclose(net[0].weight[0], before[0], rtol=1e-3)


def test_reapply_restores_the_norms_and_the_running_statistics_follow() -> None:
    net, optimizer, handle = attached(Hyperball(per="filter"))
    train(net, optimizer, 2)
    norms = lengths(net)
    before = net[1].running_var.clone()
    with torch.no_grad():
        net[0].weight.mul_(2)
    handle.reapply()
    assert torch.allclose(lengths(net), norms, rtol=1e-6)
    assert torch.allclose(net[1].running_var, (before + net[1].eps) / 4 - net[1].eps, rtol=1e-4)


@pytest.mark.skipif(not FUSED_ON_CPU, reason="fused optimizers on a CPU: torch >= 2.4")
def test_weights_loaded_after_a_skipped_step_keep_their_direction() -> None:
    net, optimizer, handle = attached(Hyperball(), partial(AdamW, lr=0.1, fused=True))
    train(net, optimizer, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    scaler.scale(loss_on(net, 1)).backward()
    net[8].weight.grad[0, 0] = torch.inf
    scaler.step(optimizer)
    net.load_state_dict(loaded := tiny_net(4).state_dict())
    handle.reapply()
    ratio = net[0].weight / loaded["0.weight"]
    assert torch.allclose(ratio, ratio[0, 0, 0, 0], rtol=1e-4)


def test_the_copy_of_a_weight_is_freed_after_an_update() -> None:
    net, optimizer, handle = attached(Hyperball())
    train(net, optimizer, 2)
    assert all(target.scratch == {} for target in handle._targets)
