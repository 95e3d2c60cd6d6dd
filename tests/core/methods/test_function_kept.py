"""The promise of the project: a rescale leaves the function of the network as it was, trained and evaluated."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.cases import CASES, Case
from helpers.layer_cases import LAYERS, batch_norm_for, make_input, make_layer
from helpers.measures import EXACT, as_trained, change, outputs, relative_error, without_eps
from helpers.nets import bn, conv, images
from helpers.vision import FrozenBatchNorm2d, densenet121, mobilenet_v2, resnet18, vgg_layers
from torch import nn
from torch.optim import SGD

from normreg_plugins import (
    AdaptiveWeightShrink,
    Handle,
    WeightRescaling,
    attach,
    find_scale_invariant,
    prove_scale_invariant,
)
from normreg_plugins.core import Method
from normreg_plugins.core.errors import SelectionError, StructureMismatchError

UNIT = WeightRescaling(at_start=True)
PICTURES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
VGG11 = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": resnet18,
    "vgg11 with conv biases": lambda: nn.Sequential(vgg_layers(VGG11, batch_norm=True), nn.Flatten()),
    "densenet121": densenet121,
    "mobilenet v2": mobilenet_v2,
    "resnet18 with frozen norms": lambda: resnet18(norm_layer=FrozenBatchNorm2d),
    "resnet18 with group norms": lambda: resnet18(norm_layer=lambda channels: nn.GroupNorm(8, channels)),
    "resnet18 with layer norms": lambda: resnet18(norm_layer=lambda channels: nn.GroupNorm(1, channels)),
}


def see_pictures(model: nn.Module) -> torch.Tensor:
    return model(PICTURES.to(next(model.parameters()).dtype))


def trained_net(name: str, dtype: torch.dtype) -> nn.Module:
    """Variances over two decades, gammas of both signs, filters of many norms, and almost no eps."""
    net = without_eps(as_trained(NETS[name]())).to(dtype)
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim > 1:
                p.mul_(torch.rand(len(p), *[1] * (p.ndim - 1)) * 3 + 0.2)
            elif name == "vgg11 with conv biases":
                p.add_(0.3 * torch.randn(p.shape))
    return net


# In float32 the rounding of one layer grows through the next fifty, so the deepest are held to it in float64.
DEEPEST = ("densenet121", "mobilenet v2", "resnet18 with layer norms")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, torch.float64 if name in DEEPEST else torch.float32) for name in NETS],
    ids=str,
)
def test_a_real_net_stays_the_same(name: str, dtype: torch.dtype) -> None:
    net = trained_net(name, dtype)
    evaluated, trained = (outputs(net, see_pictures, train=mode) for mode in (False, True))
    select = [v.name for v in find_scale_invariant(net, see_pictures) if v.kind != "free"]
    attach(SGD(net.parameters(), lr=0.1), net, UNIT, select, forward=see_pictures)
    assert change(evaluated, outputs(net, see_pictures, train=False)) <= EXACT[dtype]
    assert change(trained, outputs(net, see_pictures, train=True)) <= EXACT[dtype]


def test_it_would_not_without_repaired_statistics() -> None:
    net = trained_net("resnet18", torch.float32)
    evaluated = outputs(net, see_pictures, train=False)
    stale = {name: b.clone() for name, b in net.named_buffers()}
    attach(SGD(net.parameters(), lr=0.1), net, UNIT)
    assert change(evaluated, outputs(net, see_pictures, train=False)) <= EXACT[torch.float32]
    net.load_state_dict(stale, strict=False)
    assert change(evaluated, outputs(net, see_pictures, train=False)) > 0.05


def test_the_evaluated_function_stays_whatever_eps_is() -> None:
    """The correction of the variance includes eps, so evaluation is exact even if eps is as large as the variance."""
    net = nn.Sequential(conv(bias=True), bn(eps=0.5), nn.ReLU(), conv(6, 6), bn(eps=1e-3)).double()
    as_trained(net)
    with torch.no_grad():
        net[0].weight.div_(10)  # it will grow, so no variance is cut off at 0
    see = lambda model: model(images().double())  # noqa: E731
    evaluated = outputs(net, see, train=False)
    attach(SGD(net.parameters(), lr=0.1), net, UNIT)
    assert change(evaluated, outputs(net, see, train=False)) <= EXACT[torch.float64]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("method", [UNIT, AdaptiveWeightShrink(alpha=0.1)], ids=["WRS", "AWS"])
def test_every_kind_of_layer(kind: str, method: Method) -> None:
    layer = make_layer(kind)
    net = without_eps(as_trained(nn.Sequential(layer, batch_norm_for(layer)))).double()
    x = make_input(layer).double()
    evaluated, trained = (outputs(net, lambda model: model(x), train=mode) for mode in (False, True))
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, method, forward=lambda model: model(x))
    before = layer.weight.detach().clone()
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    if method is not UNIT:
        assert relative_error(layer.weight, before) > 0.01
    assert change(evaluated, outputs(net, lambda model: model(x), train=False)) <= EXACT[torch.float64]
    assert change(trained, outputs(net, lambda model: model(x), train=True)) <= EXACT[torch.float64]


def ready(case: Case) -> nn.Module:
    return without_eps(as_trained(case.make()))


def attached(net: nn.Module, **choice: Any) -> Handle | None:
    """The handle; None if the method finds no weight, or if the structure promised something false."""
    try:
        return attach(SGD(net.parameters(), lr=0.1), net, UNIT, **choice)
    except (SelectionError, StructureMismatchError):
        return None


def tolerance(case: Case) -> float:
    return EXACT[torch.bfloat16] if case is CASES["autocast to bfloat16"] else EXACT[torch.float32]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore::normreg_plugins.core.errors.UnconfirmedWarning")
def test_whatever_is_taken_keeps_the_function(case: Case) -> None:
    """A proof shows which weights have an invisible scale, but not which running statistics must follow them."""
    net = ready(case)
    proof = prove_scale_invariant(net, case.forward)
    names = [v.name for v in find_scale_invariant(net, case.forward) if v.kind in ("per_group", "per_layer")]
    assert kept(case, forward=case.forward)
    assert kept(case, forward=case.forward, proof=proof)
    assert not names or kept(case, forward=case.forward, select=names)
    for choice in ({}, {"proof": proof}):
        assert kept(case, **choice) or any(name in refusal(case, **choice) for name in case.expected)


def kept(case: Case, **choice: Any) -> bool:
    """Whether the net computes the same after it was rescaled, evaluated and trained."""
    net = ready(case)
    before = [outputs(net, case.forward, train=mode) for mode in (False, True)]
    if attached(net, **choice) is None:
        assert not choice.get("select")
        return True
    net = copy.deepcopy(net) if "forward" not in choice else net  # whose first forward is not traced
    after = [outputs(net, case.forward, train=mode) for mode in (False, True)]
    return max(map(change, before, after)) <= tolerance(case)


def refusal(case: Case, **choice: Any) -> str:
    """What the first forward says of a choice by structure; '' if it agrees."""
    net = ready(case)
    handle = attached(net, **choice)
    try:
        case.forward(net.train())
    except StructureMismatchError as error:
        return str(error)
    assert handle is not None
    return ""
