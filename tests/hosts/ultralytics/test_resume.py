"""What ultralytics writes and reads: checkpoints in half precision, resume, recovery, other processes."""

import os
import shutil
import subprocess
import sys
from copy import deepcopy

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import OFFLINE, filter_norms, train
from ultralytics import YOLO
from ultralytics.utils.patches import torch_load

from normreg_plugins import AdaptiveWeightShrink, CorrectedDecay, Hyperball, SphereDescent, WeightRescaling
from normreg_plugins.hosts.ultralytics import ResumeError, with_method

pytestmark = pytest.mark.ultralytics


class KilledError(Exception):
    pass


def kill(trainer):
    if trainer.epoch == 1:
        raise KilledError


@pytest.fixture
def begin(tmp_path):
    """Train two of four epochs, as a run that was killed, and return its last.pt."""

    def run(method, callbacks=(), **settings):
        with pytest.raises(KilledError):
            train(tmp_path, method, callbacks={**dict(callbacks), "on_fit_epoch_end": kill}, epochs=4, **settings)
        return next(tmp_path.glob("**/last.pt"))

    return run


def go_on(last, method, callbacks=(), **settings):
    model = YOLO(last)
    for event, callback in dict(callbacks).items():
        model.add_callback(event, callback)
    trainer = with_method(model, method)
    model.train(trainer=trainer, **{"resume": True, **settings})
    return model.trainer


@pytest.mark.parametrize(
    ("method", "optimizer"), [(WeightRescaling(interval=3), "MuSGD"), (SphereDescent(), "SGD")], ids=["WRS", "PGD"]
)
def test_resume_keeps_the_count_and_puts_half_precision_weights_back(begin, method, optimizer):
    last = begin(method, lr0=0.1, warmup_epochs=0, optimizer=optimizer)
    saved = torch_load(last)
    assert saved["optimizer"]["param_groups"][0]["normreg_plugins"] == {"updates": 4}
    length = torch.tensor(1.0 if isinstance(method, WeightRescaling) else 2**0.5)
    seen = {}

    def look(trainer):
        seen["updates"] = trainer.handle.updates
        norms = filter_norms(trainer.model)
        seen["held"] = all(torch.allclose(norms[n], length, atol=1e-6) for n in trainer.handle.targets)
        image = torch.rand(2, 3, 64, 64)
        with torch.no_grad():
            live, before = trainer.model.eval()(image)[0], saved["ema"].float().eval()(image)[0]
        trainer.model.train()
        seen["error"] = (live - before).norm() / before.norm()

    before = filter_norms(saved["ema"].float())
    (last.parents[1] / "verdicts.txt").unlink()
    trainer = go_on(last, method, {"on_pretrain_routine_end": look})
    assert type(trainer.optimizer).__name__ == optimizer
    assert f"{method!r} leaves alone" in (last.parents[1] / "verdicts.txt").read_text()
    assert not all(torch.allclose(before[name], length, atol=1e-6) for name in trainer.handle.targets)
    assert seen["updates"] == 4
    assert seen["held"]
    assert trainer.handle.updates == 8
    if isinstance(method, WeightRescaling):  # PGD also centres, which no statistic can undo
        assert seen["error"] < 1e-5


@pytest.mark.parametrize(
    ("method", "optimizer"),
    [(WeightRescaling(interval=1, radius="initial"), "SGD"), (Hyperball(per="filter"), "MuSGD")],
    ids=["WRS", "Hyperball"],
)
def test_filters_keep_their_first_norms_and_a_resume_restores_them(begin, method, optimizer):
    first, seen = {}, []

    def same(norms, handle):
        return all(torch.allclose(norms[name], first[name], rtol=1e-5) for name in handle.targets)

    def look(trainer):
        seen.append((trainer.handle.updates, same(filter_norms(trainer.model), trainer.handle)))

    note = {"on_pretrain_routine_end": lambda trainer: first.update(filter_norms(trainer.model))}
    last = begin(method, note, warmup_epochs=0, optimizer=optimizer)
    rounded = filter_norms(torch_load(last)["ema"].float())
    trainer = go_on(last, method, {"on_pretrain_routine_end": look, "on_train_end": look})
    assert seen == [(4, True), (8, True)]
    assert not same(rounded, trainer.handle)


@pytest.mark.parametrize("method", [AdaptiveWeightShrink(alpha=1.0), CorrectedDecay()], ids=["AWS", "corrected decay"])
def test_methods_without_a_norm_of_their_own_resume_under_musgd(begin, method):
    """The saved buffers go on, both of them, and so does the count."""
    last, found = begin(method, optimizer="MuSGD"), {}
    saved = torch_load(last)["optimizer"]["state"]

    def look(trainer):
        found.update(deepcopy(trainer.optimizer.state_dict()["state"]))

    trainer = go_on(last, method, {"on_pretrain_routine_end": look})
    assert trainer.handle.updates == 8
    both = [state for state in saved.values() if "momentum_buffer_SGD" in state]
    assert len(both) >= len(trainer.handle.targets)
    assert all(torch.equal(found[k][name].half(), v.half()) for k in saved for name, v in saved[k].items())


def test_resume_before_the_phase_touches_nothing(begin):
    method = WeightRescaling(interval=1, begin=6)
    seen = {}
    last = begin(method)
    saved = torch_load(last)["ema"].float().state_dict()
    look = {"on_pretrain_routine_end": lambda t: seen.update({k: v.clone() for k, v in t.model.state_dict().items()})}
    go_on(last, method, look)
    assert set(seen) == set(saved)
    assert all(torch.equal(value, saved[name]) for name, value in seen.items())


def test_another_method_is_refused_and_the_way_out_works(begin):
    last = begin(WeightRescaling(interval=4))
    verdicts = last.parents[1] / "verdicts.txt"
    written = verdicts.read_bytes()
    message = "'method': 'WeightRescaling'.*'method': 'SphereDescent'.*model=CHECKPOINT and no resume"
    with pytest.raises(ResumeError, match=message):
        go_on(last, SphereDescent())
    assert verdicts.read_bytes() == written
    data = str(last.parents[2] / "set" / "data.yaml")
    new = go_on(last, SphereDescent(), resume=False, data=data, project=str(last.parents[2]), **OFFLINE)
    assert new.handle.updates == 4


def test_a_run_without_a_method_is_not_resumed_with_one(begin):
    last = begin(None)
    with pytest.raises(ResumeError, match="was trained without a method, this run has WeightRescaling"):
        go_on(last, WeightRescaling(decay_on="all"))


def test_recovery_from_nan_goes_back_to_the_count_and_the_sphere(tmp_path):
    """Their trainer loads the average of the epoch before into the live model and goes on."""
    counts, held = [], []

    def poison(trainer):
        counts.append(trainer.handle.updates)
        if len(counts) == 2:
            trainer.loss = torch.tensor(torch.nan)

    def look(trainer):
        norms = filter_norms(trainer.model)
        held.append(all(torch.allclose(norms[n], torch.ones(()), atol=1e-6) for n in trainer.handle.targets))

    callbacks = {"on_train_epoch_end": poison, "on_train_epoch_start": look}
    train(tmp_path, WeightRescaling(interval=2), callbacks=callbacks, epochs=3)
    assert counts == [2, 4, 4, 6]
    assert held == [False, True, True, True]


WITHOUT_US = """
import sys
sys.modules["normreg_plugins"] = None  # any import of it fails
import torch
from ultralytics import YOLO
from ultralytics.utils import LOGGER

last, best = sys.argv[1:]
plain = YOLO(last)  # with optimizer and all
model = YOLO(best)
image = torch.rand(1, 3, 64, 64)
with torch.no_grad():
    before = model.model.float().eval()(image)[0]
    model.fuse()
    after = model.model(image)[0]
    exported = torch.jit.load(model.export(format="torchscript", imgsz=64))(image)
assert not any(m._forward_hooks or m._forward_pre_hooks for m in plain.model.modules())
assert all("norm" not in type(m).__name__.lower() or "BatchNorm" in type(m).__name__ for m in plain.model.modules())
assert torch.allclose(before, after, atol=1e-3, rtol=1e-3), (before - after).abs().max()
assert torch.allclose(after, exported[0] if isinstance(exported, tuple) else exported, atol=1e-3, rtol=1e-3)
print("plain")
"""


def test_checkpoints_and_exports_know_nothing_of_us(begin):
    last = begin(SphereDescent())
    command = [sys.executable, "-c", WITHOUT_US, str(last), str(shutil.copy(last, last.with_name("copy.pt")))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip().endswith("plain"), done.stderr[-3000:]
