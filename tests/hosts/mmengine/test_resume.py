"""Train 2 N = train N, resume, train N: bit for bit, at any update, and only with the same method."""

import pytest
import torch
from helpers.mm_toy import config, loader, train, weights

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.methods import ResumeError
from normreg_plugins.hosts.mmengine.method_hook import handles_of

pytestmark = pytest.mark.mm
METHODS = {
    "WRS": {"type": "WRS", "interval": 4},
    "WRS, all options": {
        "type": "WRS",
        "interval": 2,
        "at_start": True,
        "radius": 2.0,
        "end": 8,
        "output_layers": ["head"],
    },
    "PGD": {"type": "PGD"},
    "corrected decay": {"type": "CorrectedDecay"},
}
INITIAL_NORMS = {
    "WRS": {"type": "WRS", "interval": 5, "radius": "initial"},
    "Hyperball": {"type": "Hyperball", "per": "filter"},
}
ITERATIONS = 10
BY_ITERATION = {
    "train_dataloader": loader(shuffle=True) | {"sampler": {"type": "InfiniteSampler"}},
    "train_cfg": {"by_epoch": False, "max_iters": ITERATIONS},
    "default_hooks": {"checkpoint": {"by_epoch": False, "interval": 1}},
    "param_scheduler": [{"type": "CosineAnnealingLR", "by_epoch": False, "T_max": ITERATIONS}],
    "custom_hooks": [{"type": "NormRegEMAHook", "momentum": 0.1}],
}


def resumed(checkpoint, work_dir, regularizer, way="constructor", **changes):
    return train(work_dir, regularizer, way, load_from=str(checkpoint), resume=True, **changes)


def assert_same_ends(one, other):
    """The whole checkpoints: live weights, average, optimizer."""
    for part in ("state_dict", "ema_state_dict"):
        assert one[part].keys() == other[part].keys()
        for name, value in one[part].items():
            assert torch.equal(value, other[part][name]), (part, name)
    ours, theirs = one["optimizer"], other["optimizer"]
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["param_groups"][0]["normreg_plugins"]["updates"] == ITERATIONS
    for key, state in ours["state"].items():
        assert torch.equal(state["momentum_buffer"], theirs["state"][key]["momentum_buffer"])


@pytest.mark.parametrize(("name", "way"), list(zip(METHODS, ["constructor", "hook"] * 2)))
def test_at_any_iteration_and_by_the_other_way(tmp_path, name, way):
    other = "hook" if way == "constructor" else "constructor"
    train(tmp_path / "whole", METHODS[name], way, **BY_ITERATION)
    whole = torch.load(tmp_path / "whole" / f"iter_{ITERATIONS}.pth", weights_only=False)
    for stop in (1, 6) if name == "WRS" else (3,):
        checkpoint = tmp_path / "whole" / f"iter_{stop}.pth"
        runner = resumed(checkpoint, tmp_path / f"from{stop}", METHODS[name], other, **BY_ITERATION)
        (handle,) = handles_of(runner)
        assert handle.updates == ITERATIONS
        ends = tmp_path / f"from{stop}" / f"iter_{ITERATIONS}.pth"
        assert_same_ends(torch.load(ends, weights_only=False), whole)


def test_by_epochs_with_accumulation_from_the_latest(tmp_path):
    """Six iterations an epoch, an update every three, tau 3: epoch 1 ends in the middle of a window."""
    method = {"type": "WRS", "interval": 3}
    changes = {"optim_wrapper.accumulative_counts": 3, "custom_hooks": [{"type": "NormRegEMAHook"}]}
    whole = train(tmp_path / "whole", method, **{"train_cfg.max_epochs": 4}, **changes)
    train(tmp_path / "parts", method, **{"train_cfg.max_epochs": 1}, **changes)
    parts = train(tmp_path / "parts", method, **{"train_cfg.max_epochs": 4, "resume": True}, **changes)
    (handle,) = handles_of(parts)
    assert handle.updates == 8
    assert all(torch.equal(value, weights(parts)[name]) for name, value in weights(whole).items())
    ends = [torch.load(tmp_path / kind / "epoch_4.pth", weights_only=False) for kind in ("whole", "parts")]
    for part in ("state_dict", "ema_state_dict"):
        assert ends[0][part].keys() == ends[1][part].keys()
        assert all(torch.equal(value, ends[1][part][name]) for name, value in ends[0][part].items())


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_another_method_is_refused_and_the_way_out_works(tmp_path, way):
    """Other settings, too: tests/hosts/test_methods.py."""
    train(tmp_path, METHODS["WRS"], way, **{"train_cfg.max_epochs": 1})
    message = "'method': 'WeightRescaling'.*'method': 'SphereDescent'.*load_from=CHECKPOINT and resume=False"
    with pytest.raises(ResumeError, match=message):
        resumed(tmp_path / "epoch_1.pth", tmp_path / "other", METHODS["PGD"], way)
    assert not list((tmp_path / "other").glob("*.pth"))
    runner = train(tmp_path / "new", METHODS["PGD"], way, load_from=str(tmp_path / "epoch_1.pth"))
    assert next(handles_of(runner)).updates == 12


def test_a_runner_that_loads_before_its_hooks_resumes_with_the_constructor_and_refuses_the_hook(tmp_path):
    from mmengine.runner import FlexibleRunner

    def run(folder, way="constructor", **changes):
        runner = FlexibleRunner.from_cfg(config(tmp_path / folder, METHODS["WRS"], way, **changes))
        runner.train()
        return runner

    with pytest.raises(NormRegError, match="FlexibleRunner loads checkpoints before its hooks run"):
        run("hook", "hook")
    whole = run("whole")
    rest = run("rest", resume=True, load_from=str(tmp_path / "whole" / "epoch_1.pth"))
    assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(whole).items())
    (handle,) = handles_of(rest)
    assert handle.updates == 12


def norms(state: dict[str, torch.Tensor], name: str = "conv1.weight") -> torch.Tensor:
    return state[name].flatten(1).norm(dim=1)


@pytest.fixture
def pretrained(tmp_path):
    """A checkpoint of weights with norms that no initialization gives."""
    runner = train(tmp_path / "pretrained", **BY_ITERATION)
    state = weights(runner)
    state["conv1.weight"].mul_(torch.linspace(1.2, 3, 8).view(-1, 1, 1, 1))
    torch.save({"state_dict": state}, tmp_path / "pretrained.pth")
    return tmp_path / "pretrained.pth", state


@pytest.mark.parametrize(("name", "way"), list(zip(INITIAL_NORMS, ["constructor", "hook"])))
def test_the_norms_of_loaded_weights_stay_and_a_resume_is_exact(tmp_path, pretrained, name, way):
    path, loaded = pretrained
    whole = train(tmp_path / "whole", INITIAL_NORMS[name], way, load_from=str(path), **BY_ITERATION)
    assert torch.allclose(norms(weights(whole)), norms(loaded), rtol=1e-5)
    assert not torch.equal(weights(whole)["conv1.weight"], loaded["conv1.weight"])
    half = str(tmp_path / "whole" / "iter_4.pth")
    rest = train(tmp_path / "rest", INITIAL_NORMS[name], way, load_from=half, resume=True, **BY_ITERATION)
    (handle,) = handles_of(rest)
    assert handle.updates == ITERATIONS
    assert all(torch.equal(value, weights(rest)[key]) for key, value in weights(whole).items())


def test_the_log_tells_what_the_loaded_norms_mean_for_the_rate(tmp_path, pretrained, caplog):
    path, loaded = pretrained
    train(tmp_path / "new", {"type": "WRS"}, load_from=str(path), **BY_ITERATION)
    every = torch.cat([norms(loaded, f"{name}.weight") for name in ("conv1", "depthwise", "conv3")])
    factor = every.quantile(0.5).item() ** 2
    (line,) = [line for line in caplog.messages if "effective learning rate" in line]
    assert f"effective learning rate x{factor:.2g} " in line
    assert f"Use lr={0.1 / factor:.2g} instead of 0.1 to keep it" in line
    caplog.clear()
    half = str(tmp_path / "new" / "iter_4.pth")
    train(tmp_path / "rest", {"type": "WRS"}, load_from=half, resume=True, **BY_ITERATION)
    assert "effective learning rate" not in caplog.text
