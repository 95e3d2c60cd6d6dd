"""The monitor in a real Runner: what it logs, where to, and that training does not notice it."""

import json
import math
import re

import numpy as np
import pytest
import torch
from helpers.damage import DAMAGES
from helpers.mm_toy import MeanScore, loader, train, weights
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.hosts.mmengine.method_hook import handles_of
from normreg_plugins.monitor import plot_runs, read_run

pytestmark = pytest.mark.mm
WRS = {"type": "WRS", "interval": 3}
LOCAL = [{"type": "LocalVisBackend"}]
SCORED = {"val_dataloader": loader(), "val_evaluator": {"type": "MeanScore"}, "val_cfg": {}}


def hook(interval=2, **more):
    return {"type": "NormRegMonitorHook", "interval": interval, **more}


def lines(work_dir, name="norms.jsonl"):
    return [json.loads(line) for line in (work_dir / name).read_text().splitlines()]


def reports(work_dir):
    return [line for line in lines(work_dir) if "layers" in line]


@HOOKS.register_module()
class StopAt(Hook):
    """Stops the process, as it were, before this iteration."""

    def __init__(self, iteration):
        self._iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self._iteration:
            raise KeyboardInterrupt


def test_training_is_the_same_bit_for_bit(tmp_path):
    runs = [train(tmp_path / str(len(hooks)), WRS, custom_hooks=hooks, **SCORED) for hooks in ([], [hook(1)])]
    states = [{**weights(run), **_momenta(run)} for run in runs]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert len(reports(tmp_path / "1")) == 12
    assert not (tmp_path / "0" / "norms.jsonl").exists()


def _momenta(runner):
    state = runner.optim_wrapper.optimizer.state_dict()["state"]
    return {f"state {key}": state[key]["momentum_buffer"] for key in state if isinstance(key, int)}


@METRICS.register_module()
class SinglePrecisionScore(MeanScore):
    """mmseg's scores are numbers of NumPy, not of Python."""

    def compute_metrics(self, results):
        return {"mIoU": np.float32(super().compute_metrics(results)["score"]), "name": "toy"}


def test_numbers_go_to_the_backends_and_to_a_file_that_is_read_and_drawn(tmp_path):
    scored = {**SCORED, "val_evaluator": {"type": "SinglePrecisionScore"}}
    runner = train(tmp_path, WRS, custom_hooks=[hook(3)], vis_backends=LOCAL, **scored)
    (scalars,) = tmp_path.glob("*/vis_data/scalars.json")
    logged = [row for row in map(json.loads, scalars.read_text().splitlines()) if "norms/mean" in row]
    run = read_run(tmp_path / "norms.jsonl")
    assert [row["step"] for row in logged] == run.layer_steps == run.curves["loss"][0] == [3, 6, 9, 12]
    for place, row in enumerate(logged):
        for key in ("norms/min", "norms/mean", "norms/eta_over_squared_norm", "norms/rotation_degrees"):
            assert row[key] == pytest.approx(run.curves[key][1][place], rel=1e-6)
        assert all(math.isfinite(value) for value in row.values())
        assert row["norms/mean"] == pytest.approx(1, rel=1e-5)
    assert run.layer_names == list(next(handles_of(runner)).targets)
    steps, scores = run.curves["mIoU"]
    assert (steps, "name" in run.curves) == ([6, 12], False)
    assert scores[-1] == pytest.approx(runner.message_hub.get_scalar("val/mIoU").current(), rel=1e-6)
    losses = runner.message_hub.get_scalar("train/loss").data[0]
    assert run.curves["loss"][1][1] == pytest.approx(sum(losses[3:6]) / 3, rel=1e-5)
    plot_runs([tmp_path / "norms.jsonl"], tmp_path / "run.svg")
    text = (tmp_path / "run.svg").read_text()
    assert all(title in text for title in ("filter norm", "effective rate of SGD", "rotation", "loss", "mIoU"))


def test_an_update_of_several_iterations_is_one_and_a_run_without_a_monitor_is_resumed_with_one(tmp_path):
    """6 iterations an epoch, by threes: a plain run makes two updates in each."""
    changes = {"optim_wrapper.accumulative_counts": 3, "vis_backends": LOCAL}
    train(tmp_path, **changes)
    changes |= {"train_cfg.max_epochs": 4, "load_from": str(tmp_path / "epoch_2.pth"), "resume": True}
    runner = train(tmp_path, custom_hooks=[hook(1)], **changes)
    assert [line["step"] for line in reports(tmp_path)] == [5, 6, 7, 8]
    logs = [line for file in tmp_path.glob("*/vis_data/scalars.json") for line in file.read_text().splitlines()]
    logged = [row for row in map(json.loads, logs) if "norms/mean" in row]
    assert [(row["step"], row["norms/updates"]) for row in logged] == [(15, 5), (18, 6), (21, 7), (24, 8)]
    assert not list(handles_of(runner))  # no method is attached


def test_a_resumed_run_goes_on_in_its_file(tmp_path):
    train(tmp_path / "whole", WRS, custom_hooks=[hook()])
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "work", WRS, custom_hooks=[hook(), {"type": "StopAt", "iteration": 9}])
    assert [line["step"] for line in reports(tmp_path / "work")] == [2, 4, 6, 8]
    checkpoint = str(tmp_path / "work" / "epoch_1.pth")
    train(tmp_path / "work", WRS, custom_hooks=[hook()], resume=True, load_from=checkpoint)
    whole, resumed = reports(tmp_path / "whole"), reports(tmp_path / "work")
    assert [line["step"] for line in resumed] == [2, 4, 6, 8, 10, 12]
    assert [line["layers"] for line in resumed] == [line["layers"] for line in whole]
    assert [line["since"] for line in resumed] == [0, 0, 0, 6, 6, 6]


def test_the_named_weights_are_monitored_and_a_new_run_replaces_the_file(tmp_path):
    for _ in range(2):
        train(tmp_path, model={"norm": "NoNorm"}, custom_hooks=[hook(6, names=["head.weight"])])
    assert [line["layers"]["name"] for line in reports(tmp_path)] == [["head.weight"], ["head.weight"]]


def test_two_hooks_are_refused(tmp_path):
    with pytest.raises(NormRegError, match="several monitor hooks"):
        train(tmp_path, WRS, custom_hooks=[hook(), hook()])


@HOOKS.register_module()
class DamageFilters(Hook):
    def before_train(self, runner):
        DAMAGES["zero"].do(runner.model.conv1, runner.model.bn1)


def test_the_log_has_each_warning_once(tmp_path):
    settings = {"optim_wrapper": {"optimizer": {"weight_decay": 1e-6}}}
    train(tmp_path, custom_hooks=[hook(1), {"type": "DamageFilters"}], **settings)
    (log,) = tmp_path.glob("*/*.log")
    found = [line for line in log.read_text().splitlines() if "WARNING" in line]
    for says in (DAMAGES["zero"].says.format(layer=r"conv1\.weight"), "far from the equilibrium of learning rate"):
        assert len([line for line in found if re.search(says, line)]) == 1
