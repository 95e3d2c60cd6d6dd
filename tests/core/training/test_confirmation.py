"""Without `forward=` the structure decides, and is compared with the first real training forward."""

import copy
import gc

import pytest
import torch
from helpers.nets import Net, bn, conv, images
from helpers.training import INVARIANT, are_unit, attached, same_state, see_batch, tiny_net, train
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD
from torch.utils._python_dispatch import _get_current_dispatch_mode

from normreg_plugins import SphereDescent, WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning

EVERY_UPDATE = WeightRescaling(interval=1)


def wrongly_promised() -> Net:
    """A pre-activation net: the norm is registered behind the conv and used before it."""
    return Net(lambda n, x: n.head(n.conv(n.bn(x).relu())).mean((1, 2, 3)), conv=conv(3, 3), bn=bn(3), head=conv(3))


def hooked() -> Net:
    """A forward hook changes what the layer returns."""
    net = Net(lambda n, x: n.bn(n.conv(x)), conv=conv(), bn=bn())
    net.conv.register_forward_hook(lambda *called: called[2].tanh())
    return net


def partly_hidden() -> Net:
    """Its second pair is apart in the order of registration."""
    return Net(
        lambda n, x: n.bn2(n.conv2(n.bn1(n.conv1(x)).relu())),
        conv1=conv(),
        bn1=bn(),
        conv2=conv(6),
        odd=nn.ReLU(),
        bn2=bn(),
    )


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    net(images()).sum().backward()
    optimizer.step()


def test_the_forwards_of_find_and_prove_are_not_the_first_forward() -> None:
    """Someone may ask for verdicts after a method is attached: its start waits for the training to begin."""
    net, _, handle = attached(SphereDescent())
    called = []
    handle.on_first_forward(called.append)
    net.load_state_dict(tiny_net(1).state_dict())
    before = copy.deepcopy(net.state_dict())
    verdicts = find_scale_invariant(net, see_batch)
    assert [v.name for v in verdicts if v.kind == "invariant"] == list(INVARIANT)
    prove_scale_invariant(net, see_batch)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert called == []
    see_batch(net)
    assert called == [handle]
    assert are_unit(net, radius=2**0.5)


def test_a_right_verdict_by_structure_trains_as_a_traced_one_and_causes_no_warning(recwarn) -> None:
    net, optimizer, handle = attached(EVERY_UPDATE)
    twin, plain, _ = attached(EVERY_UPDATE, forward=see_batch)
    train(net, optimizer, 2)
    train(twin, plain, 2)
    assert same_state(net, twin)
    assert handle.targets == INVARIANT
    assert are_unit(net)
    assert not net._forward_hooks
    assert not net._forward_pre_hooks
    assert not recwarn


def test_an_optimizer_that_is_gone_before_the_first_forward_ends_leaves_no_trace_on() -> None:
    model = tiny_net()
    model[1].register_forward_pre_hook(lambda *_: (gc.collect(), None)[1])
    gc.disable()
    attach(SGD(model.parameters(), lr=0.1), model, WeightRescaling())
    model(images())
    gc.enable()
    gc.collect()
    assert _get_current_dispatch_mode() is None
    assert not any(module._forward_hooks for module in model)


@pytest.mark.parametrize("make", [wrongly_promised, hooked])
def test_a_wrong_promise_names_the_weight_before_anything_is_updated(make) -> None:
    net, optimizer, _ = attached(EVERY_UPDATE, net=make())
    before = copy.deepcopy(list(net.parameters()))
    with pytest.raises(StructureMismatchError, match=r"conv\.weight.*promised invariant.*shows free"):
        step(net, optimizer)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before))


def test_a_caught_mismatch_is_raised_again_at_the_next_step() -> None:
    net, optimizer, _ = attached(EVERY_UPDATE, net=wrongly_promised())
    before = copy.deepcopy(list(net.parameters()))
    for _ in range(2):
        with pytest.raises(StructureMismatchError, match=r"conv\.weight"):
            step(net, optimizer)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before))


@pytest.mark.parametrize("way", [torch.nn.utils.parametrizations.spectral_norm, torch.nn.utils.weight_norm])
def test_a_layer_that_changes_after_attach_is_named(way) -> None:
    net = Net(lambda n, x: n.bn(n.conv(x)), conv=conv(), bn=bn())
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, EVERY_UPDATE)
    way(net.conv)
    with pytest.raises(StructureMismatchError, match=r"conv\.weight: the layer was changed after attach"):
        step(net, optimizer)


def test_a_model_may_be_traced_for_inference_before_it_is_trained() -> None:
    net, optimizer, _ = attached(EVERY_UPDATE)
    traced = torch.jit.trace(net, images())
    assert torch.allclose(traced(images()), net(images()), atol=1e-5)
    train(net, optimizer, 1)
    assert are_unit(net)


def test_a_traced_forward_avoids_the_mismatch() -> None:
    net = wrongly_promised()
    net.norm = bn()
    net.flow = lambda n, x: n.norm(n.head(n.conv(n.bn(x).relu())))
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, EVERY_UPDATE, forward=lambda m: m(images()))
    step(net, optimizer)
    assert handle.targets == ("head.weight",)


def test_a_mismatch_is_raised_for_weights_that_are_named_too() -> None:
    """`select` names weights but does not say that they are invariant. The wrong norm layer must not be corrected."""
    net = wrongly_promised()
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, EVERY_UPDATE, select="conv")
    with pytest.raises(StructureMismatchError, match=r"conv\.weight"):
        step(net, optimizer)


def test_a_weight_that_the_structure_missed_is_named_in_a_warning_and_left_alone() -> None:
    net = partly_hidden()
    _, optimizer, handle = attached(EVERY_UPDATE, net=net)
    with pytest.warns(UnconfirmedWarning, match=r"1 more .*conv2\.weight"):
        step(net, optimizer)
    step(net, optimizer)
    assert handle.targets == ("conv1.weight",)
    assert are_unit(net, "conv1.weight")
    assert not are_unit(net, "conv2.weight")
    handle.detach()
    traced = attach(optimizer, net, EVERY_UPDATE, forward=lambda model: model(images()))
    assert traced.targets == ("conv1.weight", "conv2.weight")


def test_forwards_in_eval_mode_are_not_the_first() -> None:
    net, optimizer, _ = attached(EVERY_UPDATE, net=wrongly_promised())
    for _ in range(3):
        net.eval()(images())
    with pytest.raises(StructureMismatchError):
        step(net.train(), optimizer)


def test_a_first_forward_that_fails_is_not_the_first() -> None:
    net, optimizer, _ = attached(EVERY_UPDATE, net=wrongly_promised())
    with pytest.raises(RuntimeError):
        net(torch.ones(1, 99, 8, 8))
    with pytest.raises(StructureMismatchError):
        step(net, optimizer)


class TestTestedByGradients:
    """If only parts of a model are called, it cannot be traced. Lemma 3.1 is tested on its gradients instead."""

    @staticmethod
    def step_by_parts(net: Net, optimizer: torch.optim.Optimizer, through) -> None:
        optimizer.zero_grad()
        through(net, images()).square().sum().backward()
        optimizer.step()

    def test_a_right_promise_passes_with_a_warning(self) -> None:
        net = Net(lambda n, x: n.bn(n.conv(x)), conv=conv(), bn=bn())
        optimizer = SGD(net.parameters(), lr=1e-3)
        attach(optimizer, net, EVERY_UPDATE)
        with pytest.warns(UnconfirmedWarning, match="only by their gradients"):
            self.step_by_parts(net, optimizer, lambda n, x: F.silu(n.bn(n.conv(x))))
        assert are_unit(net, "conv.weight")

    def test_a_wrong_promise_is_named_also_inside_a_closure(self) -> None:
        net = Net(lambda n, x: n.bn(n.conv(x)), conv=conv(), bn=bn())
        optimizer = SGD(net.parameters(), lr=1e-3)
        attach(optimizer, net, EVERY_UPDATE)

        def closure() -> torch.Tensor:
            loss = (net.bn(net.conv(images())) + net.conv(images())).square().sum()
            loss.backward()
            return loss

        with pytest.raises(StructureMismatchError, match=r"conv\.weight"):
            optimizer.step(closure)

    def test_weights_that_the_first_forward_left_out_are_tested_when_they_come(self) -> None:
        """Stochastic depth: a branch that first runs later is tested when it does."""

        def flow(n: Net, x: torch.Tensor) -> torch.Tensor:
            y = n.bn1(n.conv1(x))
            return y + n.conv2(x) if n.deep else y

        net = Net(flow, conv1=conv(), bn1=bn(), conv2=conv(), bn2=bn())
        net.deep = False
        optimizer = SGD(net.parameters(), lr=1e-3)
        attach(optimizer, net, EVERY_UPDATE)
        step(net, optimizer)
        net.deep = True
        before = net.conv2.weight.detach().clone()
        optimizer.zero_grad()
        net(images()).square().sum().backward()
        with pytest.raises(StructureMismatchError, match=r"conv2\.weight"):
            optimizer.step()
        assert torch.equal(net.conv2.weight, before)


@pytest.mark.parametrize("method", [EVERY_UPDATE, SphereDescent()], ids=lambda m: type(m).__name__)
def test_weights_that_are_no_targets_are_not_confirmed(method, recwarn) -> None:
    """A wrong promise about a weight that `select` does not name is no reason to stop."""
    net = wrongly_promised()
    net.norm = bn()
    net.flow = lambda n, x: n.norm(n.head(n.conv(n.bn(x).relu())))
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, method, select="head")
    step(net, optimizer)
    assert handle.targets == ("head.weight",)
    assert not [w for w in recwarn if issubclass(w.category, UnconfirmedWarning)]
