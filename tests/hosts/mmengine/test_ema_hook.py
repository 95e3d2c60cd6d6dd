"""An average is evaluated and saved with running statistics that fit its weights."""

import pytest
import torch
from helpers.mm_toy import ToyImages, ToyNet, config, loader, train, weights
from helpers.processes import command
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 1}
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


@pytest.fixture(scope="module")
def wrs(tmp_path_factory):
    """A run with our hook that is evaluated after every epoch, and its folder."""
    folder = tmp_path_factory.mktemp("wrs")
    return train(folder, WRS, custom_hooks=ema(), **EVALUATION, **FAST), folder


def test_statistics_fit_the_average_and_theirs_do_not(tmp_path, wrs):
    train(tmp_path, WRS, custom_hooks=ema("EMAHook"), **FAST)
    ours, theirs = (saved(folder)["state_dict"] for folder in (wrs[1], tmp_path))
    assert error(ours) < 0.3 * error(theirs)
    for name, value in ours.items():
        measured = "running" in name or "tracked" in name
        assert measured or torch.equal(value, theirs[name]), name  # the averaged weights are theirs


def averages(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module.state_dict()


def test_neither_evaluating_nor_saving_changes_anything(tmp_path, wrs):
    """Nor does measuring the average change the training: it draws no random numbers."""
    never = train(tmp_path / "never", WRS, custom_hooks=ema(), **FAST)
    plain = train(tmp_path / "plain", WRS, **FAST)
    assert_same(averages(never), averages(wrs[0]))
    assert_same(weights(never), weights(wrs[0]))
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
    scale_bias = {"norm": "NormRegScaleBias"}
    ours, theirs = (
        averages(train(tmp_path / kind, {"type": "PGD"}, custom_hooks=ema(kind), model=scale_bias, **FAST))
        for kind in ("NormRegEMAHook", "EMAHook")
    )
    for name in ("conv1.weight", "depthwise.weight", "conv3.weight"):
        torch.testing.assert_close(ours[name].flatten(1).norm(dim=1), torch.full((8,), 2**0.5), rtol=1e-5, atol=0)
        assert theirs[name].flatten(1).norm(dim=1).mean() < 2**0.5 - 1e-3


def test_a_saved_average_is_tested_as_it_is(tmp_path, wrs):
    """A run that only tests has no method; it swaps what it loaded with itself."""
    evaluator = {"test_dataloader": loader(), "test_cfg": {"type": "TestLoop"}, "test_evaluator": {"type": "MeanScore"}}
    checkpoint = str(wrs[1] / "epoch_12.pth")
    runner = Runner.from_cfg(config(tmp_path, WRS, custom_hooks=ema(), load_from=checkpoint, **evaluator))
    score = runner.test()["score"]
    assert score == pytest.approx(float(outputs(saved(wrs[1])["state_dict"])[:, 0].mean()), rel=1e-5)


def new_and_resumed(folder, kind, way):
    for resume in (False, True):
        length = {"train_cfg.max_epochs": 2 if resume else 1}
        train(folder, WRS, way, custom_hooks=[{"type": kind}], resume=resume, **length)


@pytest.mark.parametrize(("kind", "way", "count"), [("EMAHook", "constructor", 2), ("NormRegEMAHook", "hook", 0)])
def test_mmengines_hook_is_warned_of_in_a_new_run_and_when_it_is_resumed(tmp_path, kind, way, count):
    """In a process of its own: mmengine remembers the config of the run before."""
    assert command(lambda: new_and_resumed(tmp_path, kind, way), tmp_path).returncode == 0
    logs = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))
    assert logs.count("type='NormRegEMAHook' instead") == count
