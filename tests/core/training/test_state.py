"""The method's state is plain numbers in every checkpoint of the optimizer, and a resume is exact."""

import copy
import gc
import io
import pickle
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.training import INVARIANT, Run, are_unit, attached, lengths, same_state, see_batch, sgd, tiny_net, train
from torch import nn, optim
from torch.optim import SGD, Adam, AdamW

import normreg_plugins
from normreg_plugins import AdaptiveWeightShrink, CorrectedDecay, Hyperball, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import NormRegError, PluginLostWarning
from normreg_plugins.core.training import STATE_KEY

METHODS = {
    "WRS inside a tau window": WeightRescaling(interval=4),
    "WRS with phases": WeightRescaling(interval=2, begin=3, end=9, at_start=True),
    "WRS with initial norms": WeightRescaling(interval=4, radius="initial"),
    "AWS": AdaptiveWeightShrink(alpha=0.2, begin=2),
    "PGD": SphereDescent(),
    "Hyperball": Hyperball(),
    "corrected decay": CorrectedDecay(),
}
OPTIMIZERS = {
    "SGD": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "AdamW": lambda p: AdamW(p, lr=1e-2, weight_decay=1e-2),
}
INITIAL = WeightRescaling(interval=2, radius="initial")
PAIRS = [(method, [*OPTIMIZERS][place % 2]) for place, method in enumerate(METHODS)] + [("PGD", "AdamW")]
HALF = 6  # no multiple of tau: the resume falls inside a window


@pytest.fixture(scope="module")
def resumed_elsewhere(tmp_path_factory) -> dict[tuple[str, str], dict]:
    """Every pair saved halfway, and trained to the end by one new process."""
    folder: Path = tmp_path_factory.mktemp("resume")
    for method, optimizer in PAIRS:
        half = trained(method, optimizer, HALF)
        torch.save(checkpoint(half.net, half.optimizer), folder / f"{method} {optimizer}.pt")
    code = "import sys; from test_state import go_on; go_on(sys.argv[1])"
    here, package = Path(__file__).parent, Path(normreg_plugins.__file__).parents[1]
    paths = {"PYTHONPATH": f"{package}:{here}:{here.parents[1]}", "OMP_NUM_THREADS": "1", "PATH": ""}
    subprocess.run([sys.executable, "-c", code, str(folder)], env=paths, check=True)
    return {pair: torch.load(folder / f"{' '.join(pair)}.pt", weights_only=True) for pair in PAIRS}


def trained(method: str, optimizer: str, updates: int) -> Run:
    run = attached(METHODS[method], OPTIMIZERS[optimizer])
    train(run.net, run.optimizer, updates)
    return run


def checkpoint(net: nn.Module, optimizer: optim.Optimizer) -> dict:
    return {"model": net.state_dict(), "optimizer": optimizer.state_dict()}


def go_on(folder: str) -> None:
    """In a new process: load each checkpoint, train the second half, and overwrite it with the result."""
    for path in Path(folder).glob("*.pt"):
        method, optimizer = path.stem.rsplit(" ", 1)
        saved = torch.load(path, weights_only=True)
        net, resumed, handle = attached(METHODS[method], OPTIMIZERS[optimizer], tiny_net(seed=7))
        net.load_state_dict(saved["model"])
        resumed.load_state_dict(saved["optimizer"])
        assert handle.updates == HALF
        train(net, resumed, HALF, first=HALF)
        assert handle.updates == 2 * HALF
        torch.save(checkpoint(net, resumed), path)


@pytest.mark.parametrize(("method", "optimizer"), PAIRS)
def test_a_resume_in_a_new_process_is_exact(resumed_elsewhere, method: str, optimizer: str) -> None:
    net, chosen, _ = trained(method, optimizer, 2 * HALF)
    found = resumed_elsewhere[method, optimizer]
    expected = checkpoint(net, chosen)
    assert found["model"].keys() == expected["model"].keys()
    assert all(torch.equal(found["model"][key], value) for key, value in expected["model"].items())
    for group, ours in zip(found["optimizer"]["param_groups"], expected["optimizer"]["param_groups"], strict=True):
        weights, our_weights = (each.get(STATE_KEY, {}).pop("weights", {}) for each in (group, ours))
        assert group == ours
        assert all(torch.equal(weights[name][key], of[key]) for name, of in our_weights.items() for key in of)
    assert found["optimizer"]["state"].keys() == expected["optimizer"]["state"].keys()
    for key, entries in expected["optimizer"]["state"].items():
        assert all(equal(found["optimizer"]["state"][key][name], value) for name, value in entries.items())


def equal(one: object, other: object) -> bool:
    return torch.equal(one, other) if torch.is_tensor(other) else one == other


def test_the_state_is_one_plain_number_in_the_first_group() -> None:
    net, optimizer, _ = attached(METHODS["WRS with phases"], lambda ps: AdamW([{"params": [p]} for p in ps], lr=1e-2))
    train(net, optimizer, 5)
    saved = optimizer.state_dict()
    first, *others = (group.get(STATE_KEY) for group in saved["param_groups"])
    assert first == {"updates": 5}
    assert type(first["updates"]) is int
    assert others
    assert not any(others)
    assert {type(key) for key in saved["state"]} == {int}


@pytest.mark.parametrize(
    "make",
    [
        *(optim.Adagrad, optim.Adadelta, optim.NAdam, optim.RAdam, optim.ASGD, optim.RMSprop, optim.Rprop, optim.SGD),
        lambda p, lr: optim.Adam(p, lr=lr, amsgrad=True, foreach=True),
    ],
)
def test_every_optimizer_saves_and_loads_it(make) -> None:
    """Some walk through their state on loading (`__setstate__`) and take every entry for a parameter's."""
    method = WeightRescaling(interval=3, radius="initial", decay_on="all")
    net, optimizer, _ = attached(method, partial(make, lr=1e-2))
    train(net, optimizer, 4)
    file = io.BytesIO()
    torch.save(checkpoint(net, optimizer), file)
    train(net, optimizer, 2, first=4)
    for load_first in (False, True):
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        twin = tiny_net(1)
        resumed = make(twin.parameters(), lr=1e-2)
        twin.load_state_dict(saved["model"])
        if load_first:
            resumed.load_state_dict(saved["optimizer"])
        handle = attach(resumed, twin, method, forward=see_batch)
        if not load_first:
            resumed.load_state_dict(saved["optimizer"])
        assert handle.updates == 4
        train(twin, resumed, 2, first=4)
        assert handle.updates == 6
        assert all(torch.allclose(lengths(twin, name), lengths(tiny_net(), name)) for name in INVARIANT)
        assert same_state(net, twin)


def test_a_checkpoint_of_a_plain_optimizer_starts_the_count_at_0() -> None:
    net = tiny_net()
    plain = Adam(net.parameters(), lr=1e-2)
    train(net, plain, 5)
    saved = copy.deepcopy(plain.state_dict())
    _, fresh, handle = attached(WeightRescaling(interval=2), partial(Adam, lr=1e-2), net)
    fresh.load_state_dict(saved)
    assert handle.updates == 0
    train(net, fresh, 2)
    assert are_unit(net)


def test_loading_an_earlier_state_restores_its_count() -> None:
    net, optimizer, handle = trained("AWS", "SGD", 2)
    saved = copy.deepcopy(optimizer.state_dict())
    train(net, optimizer, 3)
    assert handle.updates == 5
    optimizer.load_state_dict(saved)
    assert handle.updates == 2


def test_a_plain_optimizer_loads_the_state_and_warns_that_no_method_is_attached() -> None:
    net, optimizer, _ = trained("PGD", "AdamW", 2)
    plain = OPTIMIZERS["AdamW"](net.parameters())
    plain.load_state_dict(optimizer.state_dict())
    with pytest.warns(PluginLostWarning, match="attach"):
        train(net, plain, 1)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda pair: pickle.loads(pickle.dumps(pair))}


class TestCopies:
    """Copying and pickling lose optimizer hooks. A copy trains on without the method, and warns."""

    @pytest.mark.parametrize("updates", [0, 3])
    @pytest.mark.parametrize("way", COPIES)
    def test_a_copy_warns_once_that_it_lost_its_method(self, way: str, updates: int) -> None:
        net, optimizer, _ = trained("WRS with phases", "AdamW", updates)
        twin, other = COPIES[way]((net, optimizer))
        with pytest.warns(PluginLostWarning, match=r"copy.*attach\(\)") as caught:
            train(twin, other, 3)
        assert len([w for w in caught if w.category is PluginLostWarning]) == 1

    @pytest.mark.parametrize("method", ["WRS inside a tau window", "WRS with initial norms"])
    @pytest.mark.parametrize("way", COPIES)
    def test_a_method_attached_to_a_copy_continues_as_on_the_original(self, way: str, method: str) -> None:
        net, optimizer, original = trained(method, "AdamW", 3)
        twin, other = COPIES[way]((net, optimizer))
        handle = attach(other, twin, METHODS[method])
        train(net, optimizer, 4, first=3)
        train(twin, other, 4, first=3)
        assert handle.updates == original.updates == 7
        assert same_state(net, twin)

    def test_a_copy_of_a_detached_optimizer_does_not_warn(self, recwarn) -> None:
        net, optimizer, handle = trained("PGD", "SGD", 2)
        handle.detach()
        twin, other = copy.deepcopy((net, optimizer))
        train(twin, other, 2)
        assert not [w for w in recwarn if w.category is PluginLostWarning]

    def test_a_copied_model_is_not_controlled_by_the_method_of_the_original(self, recwarn) -> None:
        """What attach leaves on a model (hooks for its first forward) must not follow it into copies."""
        net = attached(WeightRescaling(interval=1, at_start=True)).net
        twin = copy.deepcopy(net)
        before = net[0].weight.clone()
        train(twin, SGD(twin.parameters(), lr=0.1), 2)
        assert torch.equal(net[0].weight, before)
        assert not are_unit(twin)
        assert pickle.loads(pickle.dumps(net)).state_dict().keys() == net.state_dict().keys()
        assert not recwarn


def test_a_method_acts_without_a_reference_to_its_handle() -> None:
    net, optimizer, _ = attached(WeightRescaling(interval=1))
    gc.collect()
    train(net, optimizer, 1)
    assert are_unit(net)


def test_a_method_does_not_keep_its_optimizer_alive() -> None:
    net, optimizer, handle = attached(WeightRescaling(interval=1))
    train(net, optimizer, 1)
    gone = weakref.ref(optimizer)
    del optimizer, handle
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("entry", [5, {}, {"updates": -1}, {"updates": "5"}, {"updates": 2.5}, {"updates": True}])
def test_a_damaged_count_is_refused(entry: object) -> None:
    _, optimizer, handle = trained("WRS with phases", "SGD", 2)
    saved = optimizer.state_dict()
    saved["param_groups"][0][STATE_KEY] = entry
    with pytest.raises(NormRegError, match=r"updates=.*: must be a whole number in the state that is loaded"):
        optimizer.load_state_dict(saved)
    assert handle.updates == 2


@pytest.mark.parametrize("load_first", [False, True])
def test_the_state_of_a_run_with_another_radius_is_refused(load_first: bool) -> None:
    net, optimizer, _ = attached(WeightRescaling(interval=2))
    train(net, optimizer, 3)
    saved = optimizer.state_dict()
    fresh = sgd(net.parameters())
    steps = [lambda: attach(fresh, net, INITIAL), lambda: fresh.load_state_dict(saved)]
    first, second = reversed(steps) if load_first else steps
    first()
    with pytest.raises(NormRegError, match=r"0\.weight: the loaded state lacks radius.*by another method or with"):
        second()


@pytest.mark.filterwarnings("ignore::normreg_plugins.core.errors.UnconfirmedWarning")  # a compiled model is not traced
@pytest.mark.parametrize("wrap", [nn.DataParallel, partial(torch.compile, backend="eager")])
@pytest.mark.parametrize("wrapped_first", [True, False])
def test_a_run_goes_on_with_or_without_a_wrapper_around_the_model(wrap, wrapped_first: bool) -> None:
    wraps = (wrap, lambda net: net) if wrapped_first else (lambda net: net, wrap)
    first, second = (attached(INITIAL, net=make(tiny_net(seed))) for seed, make in enumerate(wraps))
    train(first.net, first.optimizer, 3)
    second.net.load_state_dict(dict(zip(second.net.state_dict(), first.net.state_dict().values(), strict=True)))
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    for run in (first, second):
        train(run.net, run.optimizer, 3, first=3)
    assert all(map(torch.equal, first.net.parameters(), second.net.parameters()))


@pytest.mark.parametrize("damaged", [3, [], {"0.weight": 1.0}, {"radius": torch.ones(2)}, {"radius": [1.0] * 6}])
def test_a_damaged_radius_is_refused(damaged: object) -> None:
    net, optimizer, _ = attached(INITIAL)
    train(net, optimizer, 2)
    saved = copy.deepcopy(optimizer.state_dict())
    entry = saved["param_groups"][0][STATE_KEY]
    if isinstance(damaged, dict) and "radius" in damaged:
        entry["weights"]["0.weight"] = damaged
    else:
        entry["weights"] = damaged
    with pytest.raises(NormRegError, match=r"0\.weight: the loaded state lacks radius"):
        optimizer.load_state_dict(saved)


def test_a_state_saved_before_the_first_update_starts_anew() -> None:
    saved = attached(INITIAL).optimizer.state_dict()
    net, optimizer, _ = attached(INITIAL, net=tiny_net(1))
    optimizer.load_state_dict(saved)
    train(net, optimizer, 2)
    assert torch.allclose(lengths(net), lengths(tiny_net(1)))
