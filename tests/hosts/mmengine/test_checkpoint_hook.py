"""A run that is killed resumes from its last checkpoint and ends as a run that was never stopped."""

import random
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.mm_toy import ToyImages, ToyNet, config, loader, train, weights
from helpers.processes import command
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner

from normreg_plugins.core.errors import NormRegError

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 4}
LONG = {"train_cfg.max_epochs": 4}


class DieWhileSaving(Hook):
    """From here on, the system ends the process at a write beyond 2,000 bytes, as kill -9 would."""

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.epoch == 1:  # the second
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def die_while_saving(folder):
    checkpoint = {"type": "NormRegCheckpointHook", "max_keep_ckpts": 2}
    runner = Runner.from_cfg(config(folder, WRS, default_hooks={"checkpoint": checkpoint}, **LONG))
    runner.register_hook(DieWhileSaving())
    runner.train()


def test_killed_while_saving(tmp_path):
    folder = tmp_path / "killed"
    done = command(lambda: die_while_saving(folder), tmp_path)
    assert done.returncode == -signal.SIGXFSZ, done.stderr
    (torn,) = (path for path in folder.glob("*epoch_2.pth") if 0 < path.stat().st_size <= 2000)
    assert torn.name.startswith(".unfinished-")
    assert Path((folder / "last_checkpoint").read_text()).name == "epoch_1.pth"
    unbroken = train(tmp_path / "unbroken", WRS, **LONG)
    rest = train(folder, WRS, resume=True, **LONG)
    assert rest.epoch == 4
    assert all(torch.equal(value, weights(rest)[name]) for name, value in weights(unbroken).items())


def test_a_validation_without_the_score_of_the_best_checkpoint_does_not_end_the_run(tmp_path):
    """mmdet logs no mAP for a model that detects nothing, and mmengine's hook ends with a KeyError."""
    best = {"type": "NormRegCheckpointHook", "interval": 1, "save_best": "mAP", "rule": "greater"}
    runner = train(tmp_path, {"type": "WRS"}, default_hooks={"checkpoint": best})
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == "NormRegCheckpointHook")
    hook._save_best_checkpoint(runner, {"loss": 1.0})
    assert not [*tmp_path.glob("best_*")]
    hook._save_best_checkpoint(runner, {"mAP": 0.5})
    assert len([*tmp_path.glob("best_mAP_*.pth")]) == 1


@DATASETS.register_module()
class NoisyImages(ToyImages):
    """Images with the noise that an augmentation may draw, from three generators."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        noise = torch.randn(()) + np.random.normal() + random.gauss(0, 1)  # noqa: NPY002
        return {**item, "image": item["image"] + noise}


@MODELS.register_module()
class NoisyNet(ToyNet):
    def features(self, x):
        return torch.nn.functional.dropout(super().features(x), 0.3, self.training)


class KilledError(Exception):
    pass


class StopAt(Hook):
    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            raise KilledError


def noisy(workers=0, persistent=False):
    data = {**loader(shuffle=True), "dataset": {"type": "NoisyImages"}, "num_workers": workers}
    return {**data, "persistent_workers": persistent} if workers else data


def run(folder, by_epoch=True, workers=0, random_states=True, stop=None, **changes):
    """Train 4 epochs of 6 iterations; stop after so many iterations as if killed."""
    length = {"by_epoch": True, "max_epochs": 4} if by_epoch else {"by_epoch": False, "max_iters": 24}
    every = 1 if by_epoch else 5
    checkpoint = {"type": "NormRegCheckpointHook", "interval": every, "by_epoch": by_epoch}
    changes = {
        "model": {"type": "NoisyNet"},
        "train_dataloader": noisy(workers) | ({} if by_epoch else {"sampler": {"type": "InfiniteSampler"}}),
        "train_cfg": {**length, "val_interval": every},
        "val_dataloader": noisy(),
        "val_cfg": {"type": "ValLoop"},
        "val_evaluator": {"type": "MeanScore"},
        "default_hooks": {"checkpoint": {**checkpoint, "random_states": random_states}},
        **changes,
    }
    runner = Runner.from_cfg(config(folder, WRS, **changes))
    if stop is not None:
        runner.register_hook(StopAt(stop), priority="LOWEST")
    try:
        runner.train()
    except KilledError:
        assert stop is not None
    return runner


def resumes_exactly(folder, **options):
    """Whether a run that is killed and resumed ends as one that was never stopped."""
    unbroken = weights(run(folder / "unbroken", **options))
    run(folder / "killed", stop=13, **options)
    resumed = weights(run(folder / "killed", resume=True, **options))
    return all(torch.equal(value, resumed[name]) for name, value in unbroken.items())


@pytest.mark.parametrize(("by_epoch", "workers"), [(True, 0), (False, 2)])
def test_with_random_states_a_resume_is_bit_for_bit(tmp_path, by_epoch, workers):
    assert resumes_exactly(tmp_path, by_epoch=by_epoch, workers=workers)


def test_without_them_it_is_not(tmp_path):
    """If mmengine restores random states one day, ours can go."""
    assert not resumes_exactly(tmp_path, random_states=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"randomness": {"seed": None}}, r"needs randomness=dict\(seed=NUMBER\)"),
        ({"train_dataloader": noisy(2, persistent=True)}, r"needs train_dataloader=dict\(persistent_workers=False\)"),
    ],
    ids=["no seed", "persistent workers"],
)
def test_what_cannot_resume_exactly_is_refused(tmp_path, changes, message):
    with pytest.raises(NormRegError, match=message):
        run(tmp_path, **changes)


def logged(folder, capsys):
    return "".join(path.read_text() for path in folder.glob("*/*.log")) + capsys.readouterr().out


def test_a_checkpoint_without_random_states_is_resumed_with_a_warning(tmp_path, capsys):
    run(tmp_path, random_states=False, stop=13)
    run(tmp_path, resume=True, log_level="WARNING")
    assert "the checkpoint has random states of 0 processes, this run has 1" in logged(tmp_path, capsys)


def test_a_checkpoint_from_the_middle_of_an_epoch_warns(tmp_path, capsys):
    """mmengine starts the epoch again: 24 iterations become 28."""
    hooks = {"checkpoint": {"type": "NormRegCheckpointHook", "interval": 4, "by_epoch": False}}
    run(tmp_path, stop=17, default_hooks=hooks)
    assert run(tmp_path, default_hooks=hooks, resume=True).iter == 24 + 4
    assert "the checkpoint is from the middle of epoch 3, 4 of 6 iterations into it" in logged(tmp_path, capsys)
