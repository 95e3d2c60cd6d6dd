"""The average that ultralytics evaluates and saves has statistics that fit it, and the averaging is not disturbed."""

from copy import deepcopy

import pytest
import torch
from torch.optim.swa_utils import update_bn

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import filter_norms, train
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer

from normreg_plugins import WeightRescaling

pytestmark = pytest.mark.ultralytics

EVERY_UPDATE = WeightRescaling(interval=1)


class SlowAverage(DetectionTrainer):
    """An average that stays far behind, as theirs does in the middle of a long run."""

    trained_on = ()

    def _setup_train(self):
        super()._setup_train()
        self.ema.decay = lambda _: 0.8
        self.evaluated = []

    def get_validator(self):
        validator = super().get_validator()
        validator.callbacks["on_val_start"].append(lambda _: self.evaluated.append(copied(self.ema.ema)))
        return validator

    def preprocess_batch(self, batch):
        batch = super().preprocess_batch(batch)
        if torch.is_grad_enabled():  # not while the average is measured
            self.trained_on = (*self.trained_on, batch)
        return batch


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


MOVING = {"epochs": 6, "lr0": 0.3, "warmup_epochs": 0}
BATCHES = 10


def test_its_statistics_are_those_of_the_last_training_batches(tmp_path):
    trainer = train(tmp_path, EVERY_UPDATE, SlowAverage, **MOVING)
    measured = trainer.evaluated[MOVING["epochs"] - 1]
    reference = deepcopy(trainer.ema.ema)
    reference.load_state_dict(measured)
    assert len(trainer.trained_on) > BATCHES
    update_bn([batch["img"] for batch in trainer.trained_on[-BATCHES:]], reference)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(measured[name], value, msg=name)


def test_what_is_evaluated_is_what_is_saved(tmp_path):
    trainer = train(tmp_path, EVERY_UPDATE, SlowAverage, multi_scale=0.5, **MOVING)
    saved = YOLO(trainer.last).model.state_dict()
    during = trainer.evaluated[MOVING["epochs"] - 1]
    assert all(torch.equal(saved[name].half(), value.half()) for name, value in during.items())
    for name in trainer.handle.targets:
        lengths = during[name].flatten(1).norm(dim=1)
        assert torch.allclose(lengths, torch.ones(()), atol=1e-5), name
    assert any(norm.min() < 0.99 for norm in filter_norms(trainer.ema.ema).values())  # what is averaged further


def test_what_is_saved_without_being_evaluated_is_correct_too(tmp_path):
    trainer = train(tmp_path, EVERY_UPDATE, SlowAverage, val=False, save_period=1, **MOVING)
    assert len(trainer.evaluated) == 2  # at the end
    saved = YOLO(trainer.wdir / "epoch1.pt").model.float()
    norms = filter_norms(saved)
    assert all(torch.allclose(norms[name], torch.ones(()), atol=1e-3) for name in trainer.handle.targets)
    reference = deepcopy(saved)
    four = [batch["img"] for batch in trainer.trained_on[-2 * MOVING["epochs"] :][:4]]  # all there were by then
    update_bn(four, reference)
    torch.testing.assert_close(saved.state_dict(), reference.state_dict(), rtol=1e-2, atol=1e-2)  # half precision


def test_frozen_norms_keep_the_statistics_of_the_trained_model(tmp_path):
    """They are a part of the function, and follow the filters there."""
    trainer = train(tmp_path, EVERY_UPDATE, SlowAverage, freeze=[0, 1], **MOVING)
    assert "frozen" in trainer.handle.left_alone["model.1.conv.weight"]
    assert trainer.handle.targets[0] == "model.2.conv.weight"
    measured, live = trainer.evaluated[MOVING["epochs"] - 1], trainer.model.state_dict()
    same = {name for name, value in measured.items() if "running_mean" in name and torch.equal(value, live[name])}
    assert same == {"model.0.bn.running_mean", "model.1.bn.running_mean"}
