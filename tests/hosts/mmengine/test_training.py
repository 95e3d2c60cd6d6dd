"""What mmengine can do around an update does not change what an update is to a method."""

from functools import partial

import pytest
import torch
from helpers.mm_toy import config, train, weights
from mmengine.hooks import Hook
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from normreg_plugins.core.errors import AttachError
from normreg_plugins.hosts.mmengine.method_hook import handles_of

pytestmark = pytest.mark.mm
TARGETS = ("conv1.weight", "depthwise.weight", "conv3.weight")
WRS = {"type": "WRS", "interval": 2}
PGD = {"type": "PGD"}


def lengths(runner, name):
    return runner.model.get_parameter(name).detach().float().flatten(1).norm(dim=1)


def assert_on_sphere(runner, names=TARGETS, radius=1.0):
    for name in names:
        torch.testing.assert_close(lengths(runner, name), torch.full((8,), radius), rtol=1e-5, atol=0)


def updates(runner):
    (handle,) = handles_of(runner)
    return handle.updates


def test_the_last_incomplete_accumulation_is_an_update_too(tmp_path):
    """12 iterations by fives: mmengine updates after 5, 10 and 12."""
    runner = train(tmp_path, {"type": "WRS", "interval": 3}, "hook", **{"optim_wrapper.accumulative_counts": 5})
    assert updates(runner) == 3
    assert_on_sphere(runner)


def test_gradients_are_clipped_first_and_then_centred(tmp_path):
    """Clipping logs the norm of the raw gradient. The gradient that the optimizer gets has filter means of 0."""
    runner = Runner.from_cfg(config(tmp_path, PGD, **{"optim_wrapper.clip_grad": {"max_norm": 1e-3}}))
    seen = []

    def look(*_):
        conv = runner.model.conv1.weight.grad
        seen.append((conv.mean((1, 2, 3)).abs().max(), conv.norm()))

    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_pre_hook(look)
    runner.train()
    assert len(seen) == 12
    assert max(mean for mean, _ in seen) < 1e-9
    assert 0 < max(norm for _, norm in seen) <= 1e-3
    assert_on_sphere(runner, radius=2**0.5)


@pytest.fixture
def amp_on_cpu(monkeypatch):
    """AmpOptimWrapper as it is, on the one device it refuses: its check and its scaler's device are exchanged."""
    if not hasattr(torch.amp, "GradScaler"):
        pytest.skip("this torch has no gradient scaler for the CPU")
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", partial(torch.amp.GradScaler, "cpu"))


AMP = {"type": "AmpOptimWrapper", "dtype": "bfloat16"}
OVERFLOWS_ONCE = {"init_scale": 2.0**127, "backoff_factor": 2.0**-120, "growth_interval": 1000}


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.usefixtures("amp_on_cpu")
def test_an_overflow_is_no_update(tmp_path, fused):
    """The first step of 12 overflows and is skipped, be the optimizer called or not."""
    # torch leaves the momentum of a skipped first fused step uninitialized, so there is none here
    wrapper = {**AMP, "loss_scale": OVERFLOWS_ONCE, "optimizer": {"fused": fused, "momentum": 0.0}}
    runner = train(tmp_path, WRS, optim_wrapper=wrapper, model={"loss_weight": 4.0})
    assert runner.optim_wrapper.loss_scaler.get_scale() == 2.0**7  # it overflowed once
    assert updates(runner) == 11
    assert (lengths(runner, "conv1.weight") - 1).abs().max() > 1e-4  # 11 is no multiple of 2


def test_sync_batch_norm_counts_as_a_norm(tmp_path):
    """mmengine turns it into a plain one where nothing is distributed, before the method looks."""
    runner = train(tmp_path, WRS, model={"norm": "SyncBN"})
    assert_on_sphere(runner)
    assert {v.kind.value for v in next(handles_of(runner)).verdicts} == {"invariant", "free"}


class AfterOurs(Hook):
    """Registers a look at the optimizer behind that of the method."""

    def __init__(self, look):
        self._look = look

    def before_train(self, runner):
        runner.optim_wrapper.optimizer.register_step_post_hook(self._look)


@HOOKS.register_module()
class Unfreeze(Hook):
    """After the first epoch, as in gradual fine-tuning."""

    def after_train_epoch(self, runner):
        runner.model.requires_grad_(True)


def log_of(folder):
    (log,) = folder.glob("*/*.log")
    return log.read_text()


@pytest.mark.parametrize("way", ["constructor", "hook"])
def test_a_stage_that_is_unfrozen_is_taken_and_the_log_says_so(tmp_path, way):
    model = {"frozen_stages": 1}
    runner = train(tmp_path, WRS, way, model=model, custom_hooks=[{"type": "Unfreeze"}], log_level="INFO")
    assert_on_sphere(runner)
    log = log_of(tmp_path)
    assert "acts on 2 (1 more when they are unfrozen) of 4" in log
    assert "takes conv1.weight from update" in log
    assert "never acted" not in log


def test_a_method_that_never_acts_says_so_at_the_end(tmp_path):
    train(tmp_path, {"type": "WRS", "interval": 1000})
    assert "never acted" in log_of(tmp_path)


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="this torch cannot compile a watched step")
@pytest.mark.filterwarnings("ignore:.*:UserWarning:torch")
@pytest.mark.filterwarnings("ignore::normreg_plugins.core.errors.UnconfirmedWarning")
def test_a_compiled_step_trains_the_same(tmp_path):
    """Its forward cannot be traced; its gradients are tested."""
    torch._dynamo.reset()
    plain = train(tmp_path / "plain", WRS, **{"train_cfg.max_epochs": 1})
    compiled = train(tmp_path / "compiled", WRS, compile={"backend": "aot_eager"}, **{"train_cfg.max_epochs": 1})
    assert updates(compiled) == 6
    assert_on_sphere(compiled)
    torch.testing.assert_close(weights(compiled), weights(plain), rtol=1e-4, atol=1e-5)


PHASE = {"type": "WRS", "interval": 1, "begin": 1, "end": 3, "unit": "epoch"}


@pytest.mark.parametrize(("accumulate", "way"), [(1, "hook"), (4, "constructor")])
def test_phases_count_epochs(tmp_path, accumulate, way):
    """Epochs 2 and 3 of 4, whatever part of an epoch an update takes."""
    runner = Runner.from_cfg(
        config(tmp_path, PHASE, way, **{"train_cfg.max_epochs": 4, "optim_wrapper.accumulative_counts": accumulate})
    )
    on_sphere = []

    def look(*_):
        on_sphere.append(bool((lengths(runner, "conv1.weight") - 1).abs().max() < 1e-5))

    runner.register_hook(AfterOurs(look))
    runner.train()
    expected = [6 < (number + 1) * accumulate <= 18 for number in range(24 // accumulate)]
    assert on_sphere == expected


def test_phases_in_epochs_are_refused_where_iterations_count(tmp_path):
    loop = {"by_epoch": False, "max_iters": 7}
    with pytest.raises(AttachError, match=r"only counts iterations \(7\): give begin and end in updates"):
        train(tmp_path, PHASE, train_cfg=loop)


def test_compiling_something_does_not_take_the_method_off(tmp_path):
    """The first torch.compile of a process does so in torch 2.1, from optimizers made before and after."""
    torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
    runner = train(tmp_path, WRS)
    assert updates(runner) == 12
    assert_on_sphere(runner)
