"""Norms that a method saves at its start, through ultralytics' half-precision checkpoints."""

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.tiny_yolo import OFFLINE, filter_norms, make_set, tiny_net
from ultralytics import YOLO
from ultralytics.utils import LOGGER

from normreg_plugins import Hyperball, WeightRescaling
from normreg_plugins.hosts.ultralytics import with_method

pytestmark = pytest.mark.ultralytics
METHODS = {
    "WRS": WeightRescaling(interval=1, radius="initial"),
    "Hyperball": Hyperball(per="filter"),
}


class KilledError(Exception):
    pass


def kill(trainer):
    if trainer.epoch == 1:
        raise KilledError


def begin(folder, method, callbacks=()):
    """Train two of four epochs, as a run that was killed."""
    model = YOLO(tiny_net(folder))
    for event, callback in dict(callbacks).items():
        model.add_callback(event, callback)
    model.add_callback("on_fit_epoch_end", kill)
    data = make_set(folder / "set", "detect")
    settings = OFFLINE | {"epochs": 4, "warmup_epochs": 0}
    with pytest.raises(KilledError):
        model.train(trainer=with_method(model, method), data=str(data), project=str(folder), **settings)
    return model.trainer


def held(trainer, norms):
    now = filter_norms(trainer.model)
    return all(torch.allclose(now[name], norms[name], rtol=1e-5) for name in trainer.handle.targets)


@pytest.mark.parametrize("name", METHODS)
def test_filters_keep_their_first_norms_and_a_resume_brings_them_back(tmp_path, name):
    first = {}
    note = {"on_pretrain_routine_end": lambda trainer: first.update(filter_norms(trainer.model))}
    trainer = begin(tmp_path, METHODS[name], note)
    assert held(trainer, first)
    model = YOLO(trainer.last)
    rounded = filter_norms(model.model.float())
    assert not all(torch.allclose(rounded[n], first[n], rtol=1e-5) for n in trainer.handle.targets)
    seen = {}
    model.add_callback("on_pretrain_routine_end", lambda t: seen.update(held=held(t, first), updates=t.handle.updates))
    model.train(trainer=with_method(model, METHODS[name]), resume=True)
    assert seen == {"held": True, "updates": 4}
    assert held(model.trainer, first)
    assert model.trainer.handle.updates == 8


def test_the_log_tells_what_the_norms_mean_for_the_rate(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(LOGGER, "info", lambda message, *_: lines.append(str(message)))
    first = {}
    note = {"on_pretrain_routine_end": lambda trainer: first.update(filter_norms(trainer.model))}
    trainer = begin(tmp_path, WeightRescaling(interval=1), note)
    factor = torch.cat([first[name] for name in trainer.handle.targets]).quantile(0.5).item() ** 2
    (line,) = [line for line in lines if "effective rate" in line]
    assert f"multiplies the effective rate by {factor:.2g} " in line
