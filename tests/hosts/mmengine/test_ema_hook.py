"""An average is evaluated and saved with running statistics that fit its weights."""

import pytest
import torch
from helpers.mm_toy import ToyImages, ToyNet, config, loader, train, weights
from helpers.processes import command
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.mmengine import NormRegEMAHook

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 1}
METHODS = [WRS, {"type": "PGD"}]
EVALUATION = {
    "val_dataloader": loader(),
    "val_cfg": {"type": "ValLoop"},
    "val_evaluator": {"type": "MeanScore"},
}
FAST = {
    "train_cfg.max_epochs": 12,
    "optim_wrapper.optimizer.lr": 0.2,
    "train_dataloader": loader(shuffle=True, batch_size=8),
}


def ema(kind="NormRegEMAHook", **options):
    return [{"type": kind, "momentum": 0.02, **options}]


def saved(folder, epoch=12):
    return torch.load(folder / f"epoch_{epoch}.pth", weights_only=False)


def outputs(state):
    model = ToyNet().eval()
    model.load_state_dict(state)
    (batch,) = DataLoader(ToyImages(), batch_size=24)
    return model(**batch).detach()


def recalibrated(state):
    """The same weights, with the statistics they really have on the training images."""
    model = ToyNet()
    model.load_state_dict(state)
    (batch,) = DataLoader(ToyImages(), batch_size=24)
    for norm in (model.bn1, model.bn2, model.bn3):
        norm.momentum = 1.0
    model.train()(**batch)
    return model.state_dict()


def error(state):
    """How far a network's evaluated outputs are from what they are with true statistics."""
    truth = outputs(recalibrated(state))
    return float((outputs(state) - truth).norm() / truth.norm())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m["type"])
def test_statistics_fit_the_average_and_theirs_do_not(tmp_path, method):
    train(tmp_path / "ours", method, custom_hooks=ema(), **FAST)
    train(tmp_path / "theirs", method, custom_hooks=ema("EMAHook"), **FAST)
    ours, theirs = (saved(tmp_path / kind)["state_dict"] for kind in ("ours", "theirs"))
    print(f"{method['type']}: relative error of the saved average, ours {error(ours):.3f}, theirs {error(theirs):.3f}")
    assert error(ours) < 0.3 * error(theirs)
    for name, value in ours.items():
        measured = "running" in name or "tracked" in name
        assert measured or torch.equal(value, theirs[name]), name  # the averaged weights are theirs


def averages(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module.state_dict()


def test_neither_evaluating_nor_saving_changes_anything(tmp_path):
    """Nor does measuring the average change the training: it draws no random numbers."""
    never = train(tmp_path / "never", WRS, custom_hooks=ema(), train_cfg={"val_interval": 99}, **EVALUATION, **FAST)
    often = train(tmp_path / "often", WRS, custom_hooks=ema(), train_cfg={"val_interval": 1}, **EVALUATION, **FAST)
    plain = train(tmp_path / "plain", WRS, **FAST)
    assert_same(averages(never), averages(often))
    assert_same(weights(never), weights(often))
    assert_same(weights(never), weights(plain))


def assert_same(some, others):
    for name, value in some.items():
        assert torch.equal(value, others[name]), name


@pytest.mark.parametrize("off", ["no method", "interval 0"])
def test_what_does_not_measure_is_theirs(tmp_path, off):
    method, options = (None, {}) if off == "no method" else (WRS, {"statistics_interval": 0})
    train(tmp_path / "ours", method, custom_hooks=ema(**options))
    train(tmp_path / "theirs", method, custom_hooks=ema("EMAHook"))
    ours, theirs = (saved(tmp_path / kind, 2) for kind in ("ours", "theirs"))
    for part in ("state_dict", "ema_state_dict"):
        assert_same(ours[part], theirs[part])


@pytest.mark.parametrize("options", [{"update_buffers": True}, {"begin_epoch": 6}], ids=str)
def test_what_is_evaluated_is_what_is_saved(tmp_path, options):
    runner = train(tmp_path, WRS, custom_hooks=ema(**options), **EVALUATION, **FAST)
    score = runner.message_hub.get_scalar("val/score").current()
    state = saved(tmp_path)["state_dict"]
    assert float(outputs(state)[:, 0].mean()) == pytest.approx(score, rel=1e-4)
    assert error(state) < 0.25
    assert_same(state, averages(runner))
    live = saved(tmp_path)["ema_state_dict"]
    assert_same(weights(runner), {name.removeprefix("module."): value for name, value in live.items()})


def test_frozen_statistics_stay_those_of_the_trained_model(tmp_path):
    """They are a part of the function, and follow the filters there."""
    runner = train(tmp_path, WRS, custom_hooks=ema(), model={"frozen_norm": True}, **FAST)
    average, live = averages(runner), weights(runner)
    for statistic in ("running_mean", "running_var"):
        assert torch.equal(average[f"bn1.{statistic}"], live[f"bn1.{statistic}"])
        assert not torch.equal(average[f"bn3.{statistic}"], live[f"bn3.{statistic}"])


def test_filters_that_no_norm_follows_keep_their_length(tmp_path):
    """Before scale-bias layers, filters of smaller norm would make the signal smaller from layer to layer."""
    runner = train(tmp_path, {"type": "PGD"}, custom_hooks=ema(), model={"norm": "NormRegScaleBias"}, **FAST)
    theirs = train(
        tmp_path / "theirs",
        {"type": "PGD"},
        custom_hooks=ema("EMAHook"),
        model={"norm": "NormRegScaleBias"},
        **FAST,
    )
    for name in ("conv1", "depthwise", "conv3"):
        lengths = averages(runner)[f"{name}.weight"].flatten(1).norm(dim=1)
        torch.testing.assert_close(lengths, torch.full((8,), 2**0.5), rtol=1e-5, atol=0)
        assert averages(theirs)[f"{name}.weight"].flatten(1).norm(dim=1).mean() < 2**0.5 - 1e-3


def test_an_interval_that_is_none(tmp_path):
    with pytest.raises(NormRegError, match="statistics_interval=-1: must be a whole number, 0 or more"):
        train(tmp_path, WRS, custom_hooks=ema(statistics_interval=-1))


def test_a_saved_average_is_tested_as_it_is(tmp_path):
    """A run that only tests has no method; it swaps what it loaded with itself."""
    train(tmp_path, WRS, custom_hooks=ema(), **EVALUATION, **FAST)
    test = {
        "test_dataloader": loader(),
        "test_cfg": {"type": "TestLoop"},
        "test_evaluator": {"type": "MeanScore"},
    }
    checkpoint = str(tmp_path / "epoch_12.pth")
    runner = Runner.from_cfg(config(tmp_path, WRS, custom_hooks=ema(), load_from=checkpoint, **test))
    score = runner.test()["score"]
    assert score == pytest.approx(float(outputs(saved(tmp_path)["state_dict"])[:, 0].mean()), rel=1e-5)


def test_the_copy_that_averages_has_no_hooks_of_ours(tmp_path):
    """It is made after the method was attached; it must be a plain network."""
    runner = train(tmp_path, WRS, custom_hooks=ema())
    hook = next(hook for hook in runner.hooks if isinstance(hook, NormRegEMAHook))
    for module in hook.ema_model.modules():
        for each in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
            assert not hasattr(each, "__self__")  # what our hooks leave in a copy knows of nothing


def new_and_resumed(folder, kind, way):
    for resume in (False, True):
        length = {"train_cfg.max_epochs": 2 if resume else 1}
        train(folder, WRS, way, custom_hooks=[{"type": kind}], resume=resume, **length)


@pytest.mark.parametrize(
    ("kind", "way", "count"), [("EMAHook", "constructor", 2), ("EMAHook", "hook", 2), ("NormRegEMAHook", "hook", 0)]
)
def test_mmengines_hook_is_warned_of_in_a_new_run_and_when_it_is_resumed(tmp_path, kind, way, count):
    """In a process of its own: mmengine remembers the config of the run before."""
    assert command(lambda: new_and_resumed(tmp_path, kind, way), tmp_path).returncode == 0
    logs = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))
    assert logs.count("type='NormRegEMAHook' instead") == count
