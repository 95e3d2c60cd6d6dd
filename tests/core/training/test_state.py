"""The method's state is plain numbers in every checkpoint of the optimizer, and a resume is exact."""

import copy
import gc
import io
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from helpers.training import are_unit, same_state, see_batch, tiny_net, train
from torch import nn, optim
from torch.optim import SGD, Adam, AdamW

import normreg_plugins
from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach
from normreg_plugins.core.errors import NormRegError, PluginLostWarning
from normreg_plugins.core.training import STATE_KEY

METHODS = {
    "WRS inside a tau window": WeightRescaling(interval=4),
    "WRS with phases": WeightRescaling(interval=2, begin=3, end=9, at_start=True),
    "AWS": AdaptiveWeightShrink(alpha=0.2, begin=2),
    "PGD": SphereDescent(),
}
OPTIMIZERS = {
    "SGD": lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "AdamW": lambda p: AdamW(p, lr=1e-2, weight_decay=1e-2),
}
HALF = 6  # no multiple of tau: the resume falls inside a window


@pytest.fixture(scope="module")
def resumed_elsewhere(tmp_path_factory) -> dict[tuple[str, str], dict]:
    """Every pair saved halfway, and trained to the end by one new process."""
    folder: Path = tmp_path_factory.mktemp("resume")
    for method in METHODS:
        for optimizer in OPTIMIZERS:
            net, optim_, _ = trained(method, optimizer, HALF)
            torch.save(checkpoint(net, optim_), folder / f"{method} {optimizer}.pt")
    code = "import sys; from test_state import go_on; go_on(sys.argv[1])"
    here, package = Path(__file__).parent, Path(normreg_plugins.__file__).parents[1]
    paths = {"PYTHONPATH": f"{package}:{here}:{here.parents[1]}", "OMP_NUM_THREADS": "1", "PATH": ""}
    subprocess.run([sys.executable, "-c", code, str(folder)], env=paths, check=True)
    return {
        (method, optimizer): torch.load(folder / f"{method} {optimizer}.pt", weights_only=True)
        for method in METHODS
        for optimizer in OPTIMIZERS
    }


def trained(method: str, optimizer: str, updates: int):
    net = tiny_net()
    chosen = OPTIMIZERS[optimizer](net.parameters())
    handle = attach(chosen, net, METHODS[method])
    train(net, chosen, updates)
    return net, chosen, handle


def checkpoint(net: nn.Module, optimizer: optim.Optimizer) -> dict:
    return {"model": net.state_dict(), "optimizer": optimizer.state_dict()}


def go_on(folder: str) -> None:
    """In a new process: load each checkpoint, train the second half, and write the result in its place."""
    for path in Path(folder).glob("*.pt"):
        method, optimizer = path.stem.rsplit(" ", 1)
        saved = torch.load(path, weights_only=True)
        net = tiny_net(seed=7)
        resumed = OPTIMIZERS[optimizer](net.parameters())
        handle = attach(resumed, net, METHODS[method])
        net.load_state_dict(saved["model"])
        resumed.load_state_dict(saved["optimizer"])
        assert handle.updates == HALF
        train(net, resumed, HALF, first=HALF)
        assert handle.updates == 2 * HALF
        torch.save(checkpoint(net, resumed), path)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_resume_in_a_new_process_is_exact(resumed_elsewhere, method: str, optimizer: str) -> None:
    net, chosen, _ = trained(method, optimizer, 2 * HALF)
    found = resumed_elsewhere[method, optimizer]
    expected = checkpoint(net, chosen)
    assert found["model"].keys() == expected["model"].keys()
    assert all(torch.equal(found["model"][key], value) for key, value in expected["model"].items())
    assert found["optimizer"]["param_groups"] == expected["optimizer"]["param_groups"]
    assert found["optimizer"]["state"].keys() == expected["optimizer"]["state"].keys()
    for key, entries in expected["optimizer"]["state"].items():
        for name, value in entries.items():
            theirs = found["optimizer"]["state"][key][name]
            assert torch.equal(theirs, value) if torch.is_tensor(value) else theirs == value


def test_the_state_is_one_plain_number_in_the_first_group() -> None:
    _, optimizer, _ = trained("WRS with phases", "AdamW", 5)
    saved = optimizer.state_dict()
    first, *others = (group.get(STATE_KEY) for group in saved["param_groups"])
    assert first == {"updates": 5}
    assert type(first["updates"]) is int
    assert others
    assert not any(others)
    assert {type(key) for key in saved["state"]} == {int}


def test_the_model_carries_nothing() -> None:
    net, _, _ = trained("PGD", "AdamW", 2)
    assert net.state_dict().keys() == tiny_net().state_dict().keys()
    tiny_net().load_state_dict(net.state_dict(), strict=True)


@pytest.mark.parametrize(
    "make",
    [
        *(optim.Adagrad, optim.Adadelta, optim.Adamax, optim.NAdam, optim.RAdam, optim.ASGD, optim.RMSprop),
        *(optim.Adam, optim.AdamW, optim.SGD, optim.Rprop),
        lambda p, lr: optim.Adam(p, lr=lr, amsgrad=True, foreach=True),
    ],
)
def test_every_optimizer_saves_and_loads_it(make) -> None:
    """Some walk through their state on loading (`__setstate__`) and take every entry for a parameter's."""
    net = tiny_net()
    optimizer = make(net.parameters(), lr=1e-2)
    method = WeightRescaling(interval=3, decay_on="all")
    attach(optimizer, net, method)
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
        assert are_unit(twin)
        assert same_state(net, twin)


def test_a_checkpoint_written_without_us_starts_the_count_at_0() -> None:
    net = tiny_net()
    plain = Adam(net.parameters(), lr=1e-2)
    train(net, plain, 5)
    saved = copy.deepcopy(plain.state_dict())
    fresh = Adam(net.parameters(), lr=1e-2)
    handle = attach(fresh, net, WeightRescaling(interval=2))
    fresh.load_state_dict(saved)
    assert handle.updates == 0
    train(net, fresh, 2)
    assert are_unit(net)


def test_loading_an_earlier_state_turns_the_count_back() -> None:
    net, optimizer, handle = trained("AWS", "SGD", 2)
    saved = copy.deepcopy(optimizer.state_dict())
    train(net, optimizer, 3)
    assert handle.updates == 5
    optimizer.load_state_dict(saved)
    assert handle.updates == 2


def test_a_plain_optimizer_reads_our_checkpoint_and_says_what_is_missing() -> None:
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
    def test_a_copy_says_that_the_method_is_lost(self, way: str, updates: int) -> None:
        net, optimizer, _ = trained("WRS with phases", "AdamW", updates)
        twin, other = COPIES[way]((net, optimizer))
        with pytest.warns(PluginLostWarning, match=r"copy.*attach\(\)") as told:
            train(twin, other, 3)
        assert len([w for w in told if w.category is PluginLostWarning]) == 1

    @pytest.mark.parametrize("way", COPIES)
    def test_attaching_to_a_copy_goes_on_as_the_original(self, way: str) -> None:
        net, optimizer, _ = trained("WRS inside a tau window", "AdamW", 3)
        twin, other = COPIES[way]((net, optimizer))
        handle = attach(other, twin, METHODS["WRS inside a tau window"])
        train(net, optimizer, 4, first=3)
        train(twin, other, 4, first=3)
        assert handle.updates == 7
        assert same_state(net, twin)

    @pytest.mark.parametrize("way", COPIES)
    def test_the_original_keeps_its_method(self, way: str) -> None:
        net, optimizer, handle = trained("WRS inside a tau window", "AdamW", 3)
        COPIES[way]((net, optimizer))
        train(net, optimizer, 1)
        assert handle.updates == 4
        assert are_unit(net)

    def test_a_copy_of_a_detached_optimizer_is_plain(self, recwarn) -> None:
        net, optimizer, handle = trained("PGD", "SGD", 2)
        handle.detach()
        twin, other = copy.deepcopy((net, optimizer))
        train(twin, other, 2)
        assert not [w for w in recwarn if w.category is PluginLostWarning]

    def test_a_copied_model_trains_with_an_optimizer_of_its_own(self, recwarn) -> None:
        """What attach leaves on a model (hooks for its first forward) must not follow it into copies."""
        net = tiny_net()
        attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(interval=1, at_start=True))
        twin = copy.deepcopy(net)
        before = net[0].weight.clone()
        train(twin, SGD(twin.parameters(), lr=0.1), 2)
        assert torch.equal(net[0].weight, before)
        assert not are_unit(twin)
        assert pickle.loads(pickle.dumps(net)).state_dict().keys() == net.state_dict().keys()
        assert not recwarn


def test_a_handle_that_is_thrown_away_goes_on() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    attach(optimizer, net, WeightRescaling(interval=1))
    gc.collect()
    train(net, optimizer, 1)
    assert are_unit(net)


def test_an_optimizer_that_is_thrown_away_is_not_kept_alive() -> None:
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.1)
    handle = attach(optimizer, net, WeightRescaling(interval=1))
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
