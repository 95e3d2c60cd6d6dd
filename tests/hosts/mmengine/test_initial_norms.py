"""Norms that a method saves at its start: a Runner records those it loaded, saves them and resumes exactly."""

import pytest
import torch
from helpers.mm_toy import loader, train, weights
from mmengine.logging import MMLogger

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.mmengine.method_hook import handles_of

pytestmark = pytest.mark.mm
METHODS = {
    "WRS": {"type": "WRS", "interval": 3, "radius": "initial"},
    "Hyperball": {"type": "Hyperball", "per": "filter"},
}
BY_ITERATION = {
    "train_dataloader": loader(shuffle=True) | {"sampler": {"type": "InfiniteSampler"}},
    "train_cfg": {"by_epoch": False, "max_iters": 6},
    "default_hooks": {"checkpoint": {"by_epoch": False, "interval": 1}},
}


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


@pytest.mark.parametrize("way", ["constructor", "hook"])
@pytest.mark.parametrize("name", METHODS)
def test_loaded_norms_are_kept_and_a_resume_is_exact(tmp_path, pretrained, name, way):
    path, loaded = pretrained
    whole = train(tmp_path / "whole", METHODS[name], way, load_from=str(path), **BY_ITERATION)
    assert torch.allclose(norms(weights(whole)), norms(loaded), rtol=1e-5)
    assert not torch.equal(weights(whole)["conv1.weight"], loaded["conv1.weight"])
    half = str(tmp_path / "whole" / "iter_4.pth")
    rest = train(tmp_path / "rest", METHODS[name], way, load_from=half, resume=True, **BY_ITERATION)
    (handle,) = handles_of(rest)
    assert handle.updates == 6
    assert all(torch.equal(value, weights(rest)[key]) for key, value in weights(whole).items())


def test_a_checkpoint_of_a_run_with_one_radius_is_refused(tmp_path):
    train(tmp_path, {"type": "WRS", "interval": 3}, **BY_ITERATION)
    half = str(tmp_path / "iter_4.pth")
    with pytest.raises(NormRegError, match=r"{'radius': 1\.0}.*{'radius': 'initial'}.*resume=False"):
        train(tmp_path / "other", METHODS["WRS"], load_from=half, resume=True, **BY_ITERATION)


@pytest.fixture
def logged(monkeypatch):
    """What mmengine logs, at level INFO."""
    lines: list[str] = []
    monkeypatch.setattr(MMLogger, "callHandlers", lambda _, record: lines.append(record.getMessage()))
    return lines


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_the_log_tells_what_the_loaded_norms_mean_for_the_rate(tmp_path, pretrained, logged, way):
    path, loaded = pretrained
    changes = {"log_level": "INFO", **BY_ITERATION}
    train(tmp_path / "new", {"type": "WRS"}, way, load_from=str(path), **changes)
    every = torch.cat([norms(loaded, f"{name}.weight") for name in ("conv1", "depthwise", "conv3")])
    factor = every.quantile(0.5).item() ** 2
    (line,) = [line for line in logged if "effective rate" in line]
    assert f"multiplies the effective rate by {factor:.2g} " in line
    assert f"lr={0.1 / factor:.2g} in place of 0.1 would keep it" in line
    logged.clear()
    half = str(tmp_path / "new" / "iter_4.pth")
    train(tmp_path / "rest", {"type": "WRS"}, way, load_from=half, resume=True, **changes)
    assert not [line for line in logged if "effective rate" in line]
