"""With random_states=True a run that is killed and resumed ends bit for bit like one that was never stopped."""

import os
import random

import numpy as np
import pytest
import torch
from helpers.mm_toy import ToyImages, ToyNet, config, loader, weights
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner

from normreg_plugins.core.errors import NormRegError

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 4}


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


def noisy(workers: int, persistent: bool) -> dict:
    data = {**loader(shuffle=True), "dataset": {"type": "NoisyImages"}, "num_workers": workers}
    return {**data, "persistent_workers": persistent} if workers else data


def run(folder, by_epoch, workers=0, persistent=False, random_states=True, stop=None, **changes):
    """Train 4 epochs of 6 iterations; stop after so many iterations as if killed."""
    length = {"by_epoch": True, "max_epochs": 4} if by_epoch else {"by_epoch": False, "max_iters": 24}
    every = 1 if by_epoch else 5
    checkpoint = {"type": "NormRegCheckpointHook", "interval": every, "by_epoch": by_epoch}
    changes = {
        "model": {"type": "NoisyNet"},
        "train_dataloader": noisy(workers, persistent),
        "train_cfg": {**length, "val_interval": 1 if by_epoch else 5},
        "val_dataloader": noisy(0, False),
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
    return weights(runner)


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("by_epoch", "workers", "persistent"),
    [(True, 0, False), (True, 2, False), (True, 2, True), (False, 0, False), (False, 2, False)],
)
def test_a_resumed_run_ends_bit_for_bit_as_an_unbroken_one(tmp_path, by_epoch, workers, persistent):
    whole = run(tmp_path / "whole", by_epoch, workers, persistent)
    run(tmp_path / "killed", by_epoch, workers, persistent, stop=13)
    assert same(run(tmp_path / "killed", by_epoch, workers, persistent, resume=True), whole)


@pytest.mark.parametrize("by_epoch", [True, False])
def test_without_the_option_it_does_not(tmp_path, by_epoch):
    """If mmengine restores random states one day, ours may go."""
    whole = run(tmp_path / "whole", by_epoch, random_states=False)
    run(tmp_path / "killed", by_epoch, random_states=False, stop=13)
    assert not same(run(tmp_path / "killed", by_epoch, random_states=False, resume=True), whole)


def test_workers_draw_other_numbers_in_each_epoch(tmp_path):
    """mmengine seeds the workers of every epoch alike."""
    drawn = tmp_path / "drawn"

    @DATASETS.register_module(force=True)
    class Recorded(ToyImages):
        def __getitem__(self, index):
            with drawn.open("a") as file:
                file.write(f"{random.random()} {os.getpid()}\n")
            return super().__getitem__(index)

    data = {**noisy(1, True), "dataset": {"type": "Recorded"}}
    run(tmp_path, True, train_dataloader=data, train_cfg={"by_epoch": True, "max_epochs": 2})
    numbers, processes = zip(*(line.split() for line in drawn.read_text().splitlines()))
    assert len(set(numbers)) == len(numbers) == 48
    assert len(set(processes)) == 2


def test_a_run_without_a_seed_is_refused(tmp_path):
    with pytest.raises(NormRegError, match="must come with randomness"):
        run(tmp_path, True, randomness={"seed": None})


def test_an_older_checkpoint_is_resumed_and_says_what_it_lacks(tmp_path, capsys):
    run(tmp_path, True, random_states=False, stop=13)
    run(tmp_path, True, resume=True, log_level="WARNING")
    said = "".join(path.read_text() for path in tmp_path.glob("*/*.log")) + capsys.readouterr().out
    assert "the checkpoint holds no random states" in said


def test_a_checkpoint_from_the_middle_of_an_epoch_warns(tmp_path, capsys):
    """mmengine starts the epoch again: 24 iterations become 28."""
    hooks = {"checkpoint": {"type": "NormRegCheckpointHook", "interval": 4, "by_epoch": False}}
    run(tmp_path, True, stop=17, default_hooks=hooks)
    cfg = config(tmp_path, WRS, train_cfg={"by_epoch": True, "max_epochs": 4}, default_hooks=hooks, resume=True)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 24 + 4
    said = "".join(path.read_text() for path in tmp_path.glob("*/*.log")) + capsys.readouterr().out
    assert "the checkpoint is from the middle of epoch 3, 4 of 6 iterations into it" in said
