"""The monitor in ultralytics' own training loop."""

import csv
import json
import re

import pytest
import torch

pytest.importorskip("ultralytics")

from helpers.damage import DAMAGES
from helpers.tiny_yolo import filter_norms, tiny_net, train
from ultralytics import YOLO
from ultralytics.utils import LOGGER

from normreg_plugins import WeightRescaling
from normreg_plugins.hosts.ultralytics import with_method, with_monitor

pytestmark = pytest.mark.ultralytics
WRS = WeightRescaling(interval=3)


def table_of(trainer):
    with (trainer.save_dir / "results.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def lines_of(folder):
    return [json.loads(line) for line in (folder / "norms.jsonl").read_text().splitlines()]


def reports_of(folder):
    return [line for line in lines_of(folder) if "layers" in line]


def test_training_is_the_same_bit_for_bit(tmp_path):
    settings = {"multi_scale": 0.5, "close_mosaic": 1}
    without = train(tmp_path / "without", WRS, monitor=0, **settings)
    watched = train(tmp_path / "watched", WRS, monitor=1, **settings)
    theirs = without.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in watched.model.state_dict().items())
    losses = [[row["train/box_loss"] for row in table_of(each)] for each in (without, watched)]
    assert losses[0] == losses[1]
    assert not (without.save_dir / "norms.jsonl").exists()
    assert [line["step"] for line in reports_of(watched.save_dir)] == [1, 2, 3, 4]


def test_numbers_go_to_the_table_the_loggers_and_the_file(tmp_path):
    seen = []
    callbacks = {"on_fit_epoch_end": lambda trainer: seen.append(dict(trainer.metrics))}
    trainer = train(tmp_path, monitor=50, callbacks=callbacks)  # an epoch has two updates, so every second is reported
    table, reports = table_of(trainer), reports_of(trainer.save_dir)
    assert [line["step"] for line in reports] == [2, 4] == [row["norms/updates"] for row in table]
    for row, line, metrics in zip(table, reports, seen, strict=False):
        for key in ("mean", "eta_over_squared_norm", "rotation_degrees"):
            assert row[f"norms/{key}"] == pytest.approx(line[f"norms/{key}"], rel=1e-5)
            assert metrics[f"norms/{key}"] == pytest.approx(line[f"norms/{key}"], rel=1e-5)
    norms = filter_norms(trainer.model)
    for name, mean in zip(reports[-1]["layers"]["name"], reports[-1]["layers"]["filter_norm"], strict=True):
        assert mean == pytest.approx(float(norms[name].mean()), rel=1e-5)
    (last,) = [line for line in lines_of(trainer.save_dir) if line["step"] == 4 and "loss" in line]
    parts = [table[-1][f"train/{part}_loss"] for part in ("box", "cls", "dfl")]
    assert last["loss"] == pytest.approx(sum(parts), rel=1e-4)
    assert last["metrics/mAP50(B)"] == pytest.approx(table[-1]["metrics/mAP50(B)"], abs=1e-5)


def test_the_log_has_the_warnings(tmp_path, caplog):
    def damage(trainer):
        DAMAGES["zero"].do(trainer.model.model[0].conv, trainer.model.model[0].bn)

    LOGGER.addHandler(caplog.handler)
    try:
        train(tmp_path, monitor=1, callbacks={"on_train_start": damage})
    finally:
        LOGGER.removeHandler(caplog.handler)
    for says in (DAMAGES["zero"].says.format(layer=r"model\.0\.conv\.weight"), "far from the equilibrium"):
        assert len({id(each) for each in caplog.records if re.search(says, each.message)}) == 1


class KilledError(Exception):
    pass


def kill(trainer):
    if trainer.epoch == 1:
        raise KilledError


@pytest.mark.parametrize("trainer_for", [with_monitor, lambda model: with_method(model, WRS)], ids=["WD", "WRS"])
def test_a_resumed_run_goes_on_in_its_files(tmp_path, trainer_for):
    with pytest.raises(KilledError):
        train(tmp_path, base=trainer_for(YOLO(tiny_net(tmp_path))), callbacks={"on_fit_epoch_end": kill}, epochs=3)
    (last,) = tmp_path.glob("**/last.pt")
    folder = last.parents[1]
    assert [line["step"] for line in reports_of(folder)] == [2, 4]
    model = YOLO(last)
    model.train(trainer=trainer_for(model), resume=True)
    assert [line["step"] for line in reports_of(folder)] == [2, 4, 6]
    assert [line["since"] for line in reports_of(folder)] == [0, 0, 4]
    assert [row["norms/updates"] for row in table_of(model.trainer)] == [2, 4, 6]


def test_a_table_that_began_without_a_monitor_keeps_its_columns(tmp_path):
    with pytest.raises(KilledError):
        train(tmp_path, callbacks={"on_fit_epoch_end": kill}, epochs=3)
    (last,) = tmp_path.glob("**/last.pt")
    model, seen = YOLO(last), []
    model.add_callback("on_fit_epoch_end", lambda trainer: seen.append(dict(trainer.metrics)))
    model.train(trainer=with_monitor(model), resume=True)
    lines = (model.trainer.save_dir / "results.csv").read_text().splitlines()
    assert len({line.count(",") for line in lines}) == 1
    assert "norms" not in lines[0]
    assert seen[0]["norms/mean"] > 0
