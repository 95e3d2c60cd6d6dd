"""The gradients of the first update: nothing may see the scale of a target, in the forward or behind it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from helpers.nets import FrozenNorms, Net, bn, conv, images
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach, prove_scale_invariant
from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning
from normreg_plugins.core.training import confirmation

LABELS = torch.arange(4)


def flow(n: Net, x: Tensor) -> Tensor:
    """It keeps a feature where a loss outside of the forward may read it."""
    x = n.bn1(n.conv1(x)).relu()
    n.feature = n.conv2(x)
    x = n.bn3(n.conv3(n.bn2(n.feature).relu())).relu()
    return n.head(x.mean((2, 3)))


def three(norm: Callable[[], nn.Module] = bn, bias: bool = False, net: type[Net] = Net) -> Net:
    """Three targets, conv1 to conv3. `feature` is the output of conv2."""
    torch.manual_seed(0)
    layers = {"conv1": conv(bias=bias), "bn1": norm(), "conv2": conv(6, bias=bias), "bn2": norm(), "conv3": conv(6)}
    return net(flow, **layers, bn3=norm(), head=nn.Linear(6, 4))


def unpadded() -> Net:
    """Zeros at the border would vary more than what follows."""
    net = three()
    net.conv1.padding = (0, 0)
    return net


def with_statistics(net: Net) -> Net:
    for name, buffer in net.named_buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5 if name.endswith("var") else -1, 2)
    return net.train()


def logits_loss(net: nn.Module, x: Tensor | None = None) -> Tensor:
    return F.cross_entropy(net(images() if x is None else x), LABELS)


def hint_loss(net: Net) -> Tensor:
    """A layer of the net is called once more, by a loss."""
    return logits_loss(net) + 0.01 * F.mse_loss(F.conv2d(images(), net.conv1.weight), torch.ones(4, 6, 6, 6))


def in_bfloat16(net: nn.Module) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return logits_loss(net)


def accumulate(net: Net, read: float = 0.0) -> None:
    for scale in (1.0, 0.5, 2.0):
        loss = logits_loss(net, scale * images().roll(int(2 * scale), -1))
        (loss + read * net.feature.square().mean()).backward()


def as_a_critic(net: Net) -> None:
    """Generated images vary little at first, and their gradients are opposite to those of real images."""
    net(images()).mean().backward()
    (-net(0.01 * images().flip(0, 3).square()).mean()).backward()


def then(change: Callable[[list[nn.Parameter]], object]) -> Callable[[Net], None]:
    """A backward pass, and something that changes the gradients afterwards."""

    def backward(net: Net) -> None:
        logits_loss(net).backward()
        change([*net.parameters()])

    return backward


def add_noise(parameters: list[nn.Parameter]) -> None:
    for p in parameters:
        p.grad += 0.05 * p.grad.std() * torch.randn_like(p)


def scaled_in_half_precision(net: Net) -> None:
    with torch.autocast("cpu", torch.float16):
        loss = logits_loss(net)
    (2.0**10 * loss).backward()
    for p in net.parameters():
        p.grad /= 2.0**10


def step(net: nn.Module, backward: Callable[[Net], Tensor | None], **options: object) -> SGD:
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1), **options)
    update(net, optimizer, backward)
    return optimizer


def update(net: nn.Module, optimizer: SGD, backward: Callable[[Net], Tensor | None]) -> None:
    optimizer.zero_grad()
    loss = backward(net)
    if loss is not None:
        loss.backward()
    optimizer.step()


def kept(weight: float = 0.01) -> Callable[[Net], Tensor]:
    return lambda net: logits_loss(net) + weight * net.feature.square().mean()


class Hooked:
    """A forward hook of the user keeps a feature for a loss."""

    def __init__(self, net: Net) -> None:
        net.conv2.register_forward_hook(lambda *called: setattr(self, "feature", called[2]))

    def __call__(self, net: Net) -> Tensor:
        return logits_loss(net) + 0.01 * self.feature.abs().mean()


CONTRADICTIONS = {
    "a loss reads a feature that the net keeps": (three, kept(), "conv2"),
    "its mean": (three, lambda net: logits_loss(net) + 0.01 * net.feature.mean(), "conv2"),
    "its biased layer": (partial(three, bias=True), kept(), "conv2"),
    "a loss calls a layer again": (three, hint_loss, "conv1"),
    "over several batches": (three, partial(accumulate, read=0.05), "conv2"),
    "norm layers by instance": (lambda: three(partial(nn.InstanceNorm2d, 6, affine=True)), kept(0.1), "conv2"),
    "norm layers without gamma": (lambda: three(partial(bn, affine=False)), kept(), "conv2"),
    "frozen norm layers": (lambda: with_statistics(three(bias=True, net=FrozenNorms)), kept(), "conv2"),
    "under autocast, if it is strong": (three, lambda net: in_bfloat16(net) + net.feature.float().sum() / 99, "conv2"),
}

AGREEMENTS = {
    "plain": (three, logits_loss),
    "biased": (partial(three, bias=True), logits_loss),
    "a large eps": (lambda: three(partial(bn, eps=0.5)), logits_loss),
    "small variances": (three, lambda net: logits_loss(net, 1e-3 * images())),
    "means larger than deviations": (unpadded, lambda net: logits_loss(net, 1000 + images())),
    "gamma and its gradient differ": (lambda: with_statistics(three()), logits_loss),
    "norm layers by instance": (lambda: three(partial(nn.InstanceNorm2d, 6, affine=True)), logits_loss),
    "norm layers without gamma": (lambda: three(partial(bn, affine=False)), logits_loss),
    "frozen norm layers": (lambda: with_statistics(three(bias=True, net=FrozenNorms)), logits_loss),
    "norm layers that are frozen only in train()": (partial(three, net=FrozenNorms), logits_loss),
    "several batches": (three, accumulate),
    "batches of opposite gradients": (three, as_a_critic),
    "bfloat16": (three, in_bfloat16),
    **({"float16 with a scaler": (three, scaled_in_half_precision)} if torch.__version__ >= "2.3" else {}),
    "clipped by norm": (three, then(lambda p: nn.utils.clip_grad_norm_(p, 1e-3))),
}

DOUBTS = {
    "an L2 penalty on all weights": lambda net: (
        logits_loss(net) + 5e-4 * sum(p.square().sum() for p in net.parameters())
    ),
    "an L2 penalty on one weight": lambda net: logits_loss(net) + 5e-4 * net.conv2.weight.square().sum(),
    "an L1 penalty on one weight": lambda net: logits_loss(net) + 5e-4 * net.conv2.weight.abs().sum(),
    "an L1 penalty on all weights": lambda net: logits_loss(net) + 5e-4 * sum(p.abs().sum() for p in net.parameters()),
    "noise": then(add_noise),
    "one weight clipped by value": then(lambda p: nn.utils.clip_grad_value_(p[3], 1e-3)),
    "clipped by value": then(lambda p: nn.utils.clip_grad_value_(p, 0.01)),
    "a weak contradiction under autocast": lambda net: in_bfloat16(net) + 0.05 * net.feature.float().square().mean(),
}


@pytest.mark.parametrize("forward", [None, logits_loss], ids=["by structure", "traced"])
@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_sees_the_scale_of_a_weight_is_refused_before_anything_is_updated(name: str, forward) -> None:
    make, backward, weight = CONTRADICTIONS[name]
    net = make()
    before = copy.deepcopy([*net.parameters()])
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1), forward=forward)
    for _ in range(2):
        with pytest.raises(StructureMismatchError, match=rf"^{weight}\.weight: .* 0?\.?\d.* of a random gradient's"):
            update(net, optimizer, backward)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before))


def test_so_is_a_forward_hook_that_keeps_a_feature() -> None:
    net = three()
    with pytest.raises(StructureMismatchError, match=r"^conv2\.weight"):
        step(net, Hooked(net))


@pytest.mark.mm
def test_so_is_an_operation_that_no_trace_sees() -> None:
    from mmcv.ops import roi_align

    def reading(n: Net, x: Tensor) -> Tensor:
        y = n.conv(x)
        boxes = torch.tensor([[0.0, 1, 1, 6, 6]])
        return n.bn(y).relu().mean((2, 3)) + roi_align(y, boxes, (2, 2), 1.0, 0, "avg", True).mean((2, 3))

    with pytest.raises(StructureMismatchError, match=r"^conv\.weight"):
        step(Net(reading, conv=conv(), bn=bn()), lambda net: F.cross_entropy(net(images()), LABELS))


@pytest.mark.parametrize("name", AGREEMENTS)
def test_what_does_not_see_it_causes_no_warning(name: str, recwarn) -> None:
    make, backward = AGREEMENTS[name]
    step(make(), backward)
    assert not [w for w in recwarn if w.category is UnconfirmedWarning]


@pytest.mark.parametrize("name", DOUBTS)
def test_what_may_have_another_cause_is_a_warning(name: str) -> None:
    with pytest.warns(
        UnconfirmedWarning, match=r"conv2\.weight \([\d.e-]+\).*: the gradient has a part along the weight"
    ):
        step(three(), DOUBTS[name])


def test_so_is_what_a_proof_contradicts() -> None:
    net = three()
    proof = prove_scale_invariant(net, logits_loss)
    with pytest.warns(UnconfirmedWarning, match=r"conv2\.weight"):
        step(net, kept(), proof=proof)


class TestZeroGradients:
    """A gamma of zero, as residual blocks begin with, hides everything in front of it."""

    @staticmethod
    def recorded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """The weights that were tested, by update."""
        tested, measure = [], confirmation.along_weights
        monkeypatch.setattr(
            confirmation,
            "along_weights",
            lambda targets, *rest: (tested.append([t.name for t in targets]), measure(targets, *rest))[1],
        )
        return tested

    def test_they_are_tested_when_they_come(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tested = self.recorded(monkeypatch)
        net = three()
        nn.init.zeros_(net.bn3.weight)
        nn.init.ones_(net.bn3.bias)
        optimizer = step(net, logits_loss)
        for _ in range(3):
            update(net, optimizer, logits_loss)
        assert tested == [["conv1.weight", "conv2.weight", "conv3.weight"]] * 2

    def test_those_that_never_come_are_read_ever_less_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tested = self.recorded(monkeypatch)
        net = three()
        nn.init.zeros_(net.bn3.weight).requires_grad_(False)
        optimizer = step(net, logits_loss)
        for _ in range(20):
            update(net, optimizer, logits_loss)
        assert len(tested) == 5  # updates 1, 2, 4, 8 and 16
