"""Compiled models: the method acts all the same, and never inside the compiled graph."""

import gc
import warnings

import pytest
import torch
from helpers.measures import relative_error
from helpers.training import INVARIANT, are_unit, loss_on, see_batch, tiny_net, train
from torch import nn
from torch.nn.modules.module import _global_forward_hooks
from torch.optim import SGD

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach, find_scale_invariant
from normreg_plugins.core.errors import StructureMismatchError, UnconfirmedWarning

CAN_LOOK_INSIDE = hasattr(torch.compiler, "set_stance")  # torch >= 2.6

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:torch"),
    # Before, the compiler cannot be warned to skip the trace of the first forward: docs/verdicts.md says so.
    pytest.mark.skipif(not hasattr(torch.compiler, "is_compiling"), reason="torch >= 2.3 compiles a traced model"),
]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    nn.Identity()(torch.zeros(1))  # hooks of handles that are gone leave at the next call: not while something compiles
    torch._dynamo.reset()


def compiled(net: nn.Module, way: str) -> tuple[nn.Module, nn.Module]:
    """What is trained, and what the method is attached to."""
    if way == "in place":
        net.compile(backend="aot_eager")
        return net, net
    model = torch.compile(net, backend="eager" if "eager" in way else "aot_eager")
    return model, model if "given" in way else net


RUNS = [
    (WeightRescaling(interval=2), "before attach"),
    (WeightRescaling(interval=2), "before attach, given compiled, eager"),
    (AdaptiveWeightShrink(alpha=0.2), "before attach, given compiled"),
    (SphereDescent(), "after attach"),
    (AdaptiveWeightShrink(alpha=0.2), "after attach, eager"),
    (SphereDescent(), "in place"),
]


@pytest.mark.parametrize(("method", "way"), RUNS, ids=str)
@pytest.mark.skipif(not hasattr(torch.nn.Module, "compile"), reason="Module.compile: torch >= 2.2")
@pytest.mark.filterwarnings("ignore::normreg_plugins.core.errors.UnconfirmedWarning")
def test_a_compiled_model_trains_as_a_plain_one(method, way: str) -> None:
    net, twin = tiny_net(), tiny_net()
    optimizer, plain = (SGD(each.parameters(), lr=0.1, momentum=0.9) for each in (net, twin))
    if way.startswith("after"):
        handle = attach(optimizer, net, method)
        model, _ = compiled(net, way)
    else:
        model, given = compiled(net, way)
        handle = attach(optimizer, given, method)
        prefix = "_orig_mod." if given is not net else ""
        assert handle.targets == tuple(prefix + name for name in INVARIANT)
    attach(plain, twin, method)
    train(model, optimizer, 4)
    train(twin, plain, 4)
    assert handle.updates == 4
    expected = twin.state_dict()
    assert all(relative_error(value, expected[name]) < 1e-5 for name, value in net.state_dict().items())


@pytest.mark.skipif(not CAN_LOOK_INSIDE, reason="torch.compiler.set_stance: torch >= 2.6")
def test_finding_looks_inside_a_compiled_model() -> None:
    compiled = torch.compile(tiny_net(), backend="aot_eager")
    verdicts = {v.name: v.kind for v in find_scale_invariant(compiled, see_batch)}
    assert verdicts == {
        "_orig_mod.0.weight": "invariant",
        "_orig_mod.3.weight": "invariant",
        "_orig_mod.8.weight": "free",
    }


@pytest.mark.filterwarnings("ignore::normreg_plugins.core.errors.UnconfirmedWarning")
def test_attaching_and_acting_recompile_nothing() -> None:
    gc.collect()  # the hooks of other tests' handles, which are global, go now
    see_batch(net := tiny_net())
    compiled = torch.compile(net, backend="aot_eager")
    optimizer = SGD(net.parameters(), lr=0.1)
    train(compiled, optimizer, 2)
    attach(optimizer, net, WeightRescaling(interval=1), forward=see_batch)
    train(compiled, optimizer, 1)
    with torch._dynamo.config.patch(error_on_recompile=True):
        train(compiled, optimizer, 4)
    assert are_unit(net)


@pytest.mark.skipif(not CAN_LOOK_INSIDE, reason="an older torch drops all hooks of a step that it compiles")
def test_a_compiled_step_is_followed_by_the_method() -> None:
    """Some compile the step itself; hooks then run outside the graph or inside it, but they run."""
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=torch.tensor(0.1), weight_decay=0.1)
    handle = attach(optimizer, net, WeightRescaling(interval=2), forward=see_batch)
    step = torch.compile(optimizer.step, backend="eager")
    twin = tiny_net()
    plain = SGD(twin.parameters(), lr=0.1, weight_decay=0.1)
    attach(plain, twin, WeightRescaling(interval=2))
    for index in range(3):
        optimizer.zero_grad()
        loss_on(net, index).backward()
        step()
    train(twin, plain, 3)
    assert handle.updates == 3
    assert relative_error(net[0].weight, twin[0].weight) < 1e-5
    assert relative_error(net[1].weight, twin[1].weight) < 1e-5


def test_what_a_compiled_first_forward_hides_is_said() -> None:
    """The compiler may trace our hooks or not. Either the trace saw the forward, or a warning says that it did not."""
    net = tiny_net()
    compiled = torch.compile(net, backend="eager")
    optimizer = SGD(net.parameters(), lr=0.1)
    confirmation = attach(optimizer, net, WeightRescaling(interval=1))._confirmation
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(compiled, optimizer, 1)
    warned = any(w.category is UnconfirmedWarning and "gradients" in str(w.message) for w in caught)
    assert warned == bool(confirmation._hidden)
    assert are_unit(net)


@pytest.mark.skipif(not CAN_LOOK_INSIDE, reason="torch < 2.6 breaks the graph at any global hook")
def test_another_model_compiles_to_one_graph() -> None:
    """The hooks that wait for the first forward are global."""
    net = tiny_net()
    handle = attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(interval=1))
    other = torch.compile(tiny_net(seed=1), backend="eager", fullgraph=True)
    see_batch(other)
    handle.detach()


@pytest.mark.skipif(not CAN_LOOK_INSIDE, reason="torch < 2.6 breaks the graph at any global hook")
def test_a_handle_may_be_collected_while_another_model_compiles() -> None:
    handles = [attach(SGD((net := tiny_net()).parameters(), lr=0.1), net, WeightRescaling(interval=1))]
    hooks = len(_global_forward_hooks)

    def collecting(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> torch.fx.GraphModule:
        handles.clear()
        gc.collect()
        return graph

    del net
    see_batch(torch.compile(tiny_net(seed=1), backend=collecting))
    see_batch(tiny_net())
    assert len(_global_forward_hooks) < hooks


@pytest.mark.parametrize("read", [0.0, 1.0])
def test_a_compiled_model_is_tested_by_its_gradients(read: float) -> None:
    """In float32, but that is not known: only a strong contradiction is clear."""
    net = tiny_net()
    compiled = torch.compile(net, backend="aot_eager")
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, compiled, WeightRescaling(interval=1))
    (loss_on(compiled, 0) + read * net[3](net[0](torch.ones(1, 3, 8, 8))).square().sum()).backward()
    if read:
        with pytest.raises(StructureMismatchError, match=r"weight: .* a part along the weight"):
            optimizer.step()
    else:
        with pytest.warns(UnconfirmedWarning, match="only by their gradients, which agree"):
            optimizer.step()
