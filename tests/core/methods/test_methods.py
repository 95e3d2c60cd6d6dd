"""Each method against the oracle, around every optimizer, in every dtype and layout, on every kind of layer."""

import copy
from collections.abc import Callable

import pytest
import torch
from helpers import oracle
from helpers.branches import Branches
from helpers.measures import EXACT, relative_error
from helpers.optimizers import OPTIMIZERS, can_step
from torch import Tensor, nn

from normreg_plugins import (
    AdaptiveWeightShrink,
    CorrectedDecay,
    SphereDescent,
    WeightRescaling,
    attach,
    find_scale_invariant,
)
from normreg_plugins.core import Method

LR = 0.05
METHODS = {
    "WRS": WeightRescaling(interval=2),
    "WRS, another norm, from the start": WeightRescaling(interval=1, radius=3.0, at_start=True),
    "WRS, initial norms": WeightRescaling(interval=2, radius="initial"),
    "WRS(IC)": WeightRescaling(interval=2, per="position"),
    "AWS by norm": AdaptiveWeightShrink(alpha=0.3, measure="norm"),
    "AWS by std": AdaptiveWeightShrink(alpha=2.0, measure="std"),
    "AWS that reaches 0": AdaptiveWeightShrink(alpha=4.0, measure="norm"),
    "corrected decay": CorrectedDecay(weight_decay=0.5, eta_max=0.08),
    "PGD": SphereDescent(),
    "PGD without centring": SphereDescent(c=0.5, center=False),
    "PGD without the sphere": SphereDescent(sphere=False),
}


def covering() -> list[tuple[str, str, torch.dtype]]:
    """Each method in each dtype, with every optimizer in turn."""
    found = []
    for i, method in enumerate(METHODS):
        for j, dtype in enumerate(EXACT):
            optimizer = [*OPTIMIZERS][(len(EXACT) * i + j) % len(OPTIMIZERS)]
            found.append((method, optimizer, dtype if can_step(optimizer, dtype) else torch.float32))
    return found


class ByHand:
    """What a method does, by the oracle, on a net that it is not attached to."""

    def __init__(self, net: Branches, method: Method) -> None:
        self.net, self.method, self.updates = net, method, 0
        self.radii = {layer: oracle.lengths(layer, layer.weight) for layer, _ in net.values()}
        # WRS(IC) refuses filters with one input channel.
        depthwise = {kind for kind, (layer, _) in net.items() if layer.weight.shape[1] == 1}
        self.taken = [kind for kind in net if getattr(method, "per", "") != "position" or kind not in depthwise]
        if isinstance(method, SphereDescent) or getattr(method, "at_start", False):
            self.set_weights(self.projected)

    def before_step(self) -> None:
        if isinstance(self.method, AdaptiveWeightShrink):
            self.set_weights(lambda layer: oracle.aws(layer, layer.weight, LR, self.method.alpha, self.method.measure))
        elif isinstance(self.method, CorrectedDecay):  # statistics follow by themselves, as under any weight decay
            for layer, _ in self.net.values():
                shrunk = oracle.corrected_decay(layer.weight, LR, self.method.weight_decay, self.method.eta_max)
                layer.weight.detach().copy_(shrunk)
        elif isinstance(self.method, SphereDescent) and self.method.center:
            for layer, _ in self.net.values():
                layer.weight.grad.copy_(oracle.pgd_gradient(layer, layer.weight.grad))

    def after_step(self) -> None:
        self.updates += 1
        if (
            not isinstance(self.method, AdaptiveWeightShrink | CorrectedDecay)
            and self.updates % self.method.interval == 0
        ):
            self.set_weights(self.projected)

    def projected(self, layer: nn.Module) -> Tensor:
        if isinstance(self.method, WeightRescaling):
            radius = self.radii[layer] if self.method.radius == "initial" else self.method.radius
            return oracle.wrs(layer, layer.weight, radius, self.method.per)
        c = self.method.c if self.method.sphere else None
        return oracle.pgd_weight(layer, layer.weight, c, self.method.center)

    @torch.no_grad()
    def set_weights(self, rule: Callable[[nn.Module], Tensor]) -> None:
        """Give each weight the value that `rule` computes, and correct the statistics of the norm layer behind it."""
        for layer, norm in (self.net[kind] for kind in self.taken):
            before = oracle.centred(layer, layer.weight) if self.centres else layer.weight
            after = rule(layer)
            pairs = zip(oracle.lengths(layer, before), oracle.lengths(layer, after))
            mean, var = oracle.repaired(norm, [new / old if old else 1.0 for old, new in pairs], layer.bias)
            layer.weight.copy_(after)
            norm.running_mean.copy_(oracle.as_vector(mean))
            norm.running_var.copy_(oracle.as_vector(var))

    @property
    def centres(self) -> bool:
        return getattr(self.method, "center", False)


@pytest.mark.parametrize(("method", "optimizer", "dtype"), covering(), ids=str)
def test_as_the_equation_says(method: str, optimizer: str, dtype: torch.dtype) -> None:
    net = Branches(dtype, turn=list(OPTIMIZERS).index(optimizer))
    by_hand = ByHand(copy.deepcopy(net), METHODS[method])
    ours, plain = (OPTIMIZERS[optimizer](n.parameters(), LR) for n in (net, by_hand.net))
    # The structure is known, and half precision has no forward on older CPUs: so it is vouched for, not looked at.
    handle = attach(ours, net, METHODS[method], proof=find_scale_invariant(net))
    assert sorted(handle.targets) == sorted(f"{kind}.0.weight" for kind in by_hand.taken)
    compare(net, by_hand.net, dtype)
    strides = [layer.weight.stride() for layer, _ in net.values()]
    for _ in range(4):
        for p, q in zip(net.parameters(), by_hand.net.parameters()):
            p.grad = torch.empty_like(p).copy_(torch.randn(p.shape))  # laid out as the weight: fused steps need that
            q.grad = p.grad.clone()
        ours.step()
        by_hand.before_step()
        plain.step()
        by_hand.after_step()
        compare(net, by_hand.net, dtype)
    assert handle.updates == by_hand.updates == 4
    assert strides == [layer.weight.stride() for layer, _ in net.values()]
    assert {p.dtype for p in net.parameters()} == {dtype}


def compare(net: Branches, reference: Branches, dtype: torch.dtype) -> None:
    for (kind, (layer, norm)), (_, (other, other_norm)) in zip(net.items(), reference.items()):
        assert relative_error(layer.weight, other.weight) <= EXACT[dtype], kind
        assert relative_error(norm.running_mean, other_norm.running_mean) <= 3 * EXACT[dtype], kind
        spread, other_spread = norm.running_var + norm.eps, other_norm.running_var + norm.eps
        assert relative_error(spread, other_spread) <= 3 * EXACT[dtype], kind
