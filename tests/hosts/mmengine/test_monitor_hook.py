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


@pytest.mark.parametrize("method", [None, WRS], ids=["weight decay alone", "WRS"])
def test_training_is_the_same_bit_for_bit(tmp_path, method):
    with_dropped_randomness = {"val_begin": 1, **SCORED}
    runs = [
        train(tmp_path / str(len(hooks)), method, custom_hooks=hooks, **with_dropped_randomness)
        for hooks in ([], [hook(1)])
    ]
    states = [{**weights(run), **_momenta(run)} for run in runs]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert len(reports(tmp_path / "1")) == 12
    assert not (tmp_path / "0" / "norms.jsonl").exists()


def _momenta(runner):
    state = runner.optim_wrapper.optimizer.state_dict()["state"]
    return {f"state {key}": state[key]["momentum_buffer"] for key in state if isinstance(key, int)}


def test_numbers_go_to_the_backends_and_to_the_file(tmp_path):
    runner = train(tmp_path, WRS, custom_hooks=[hook(3)], vis_backends=LOCAL, **SCORED)
    (scalars,) = tmp_path.glob("*/vis_data/scalars.json")
    logged = [row for row in map(json.loads, scalars.read_text().splitlines()) if "norms/mean" in row]
    found = reports(tmp_path)
    assert [row["step"] for row in logged] == [line["step"] for line in found] == [3, 6, 9, 12]
    for row, line in zip(logged, found, strict=True):
        for key in ("min", "mean", "max", "eta_over_squared_norm", "rotation_degrees", "smallest_layer"):
            assert row[f"norms/{key}"] == pytest.approx(line[f"norms/{key}"], rel=1e-6)
        assert all(math.isfinite(value) for value in row.values())
        assert row["norms/mean"] == pytest.approx(1, rel=1e-5)
        assert line["layers"]["name"] == list(next(handles_of(runner)).targets)
    (score,) = [line["score"] for line in lines(tmp_path) if line["step"] == 12 and "score" in line]
    assert score == pytest.approx(runner.message_hub.get_scalar("val/score").current(), rel=1e-6)
    losses = runner.message_hub.get_scalar("train/loss").data[0]
    (loss,) = [line["loss"] for line in lines(tmp_path) if line["step"] == 6 and "loss" in line]
    assert loss == pytest.approx(sum(losses[3:6]) / 3, rel=1e-5)


def test_an_update_of_several_iterations_is_one(tmp_path):
    """12 iterations by fives: mmengine updates after 5, 10 and 12."""
    runner = train(
        tmp_path,
        custom_hooks=[hook(1)],
        vis_backends=LOCAL,
        optim_wrapper={"accumulative_counts": 5, "optimizer": {"weight_decay": 0.1}},
    )
    assert [line["step"] for line in reports(tmp_path)] == [1, 2, 3]
    (scalars,) = tmp_path.glob("*/vis_data/scalars.json")
    logged = [row for row in map(json.loads, scalars.read_text().splitlines()) if "norms/mean" in row]
    assert [row["step"] for row in logged] == [5, 10, 12]  # the axis of the loss
    assert [row["norms/updates"] for row in logged] == [1, 2, 3]
    assert not list(handles_of(runner))  # a plain run: no method is attached


@pytest.mark.parametrize("method", [None, WRS], ids=["weight decay alone", "WRS"])
def test_a_resumed_run_goes_on_in_its_file(tmp_path, method):
    train(tmp_path / "whole", method, custom_hooks=[hook()])
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "work", method, custom_hooks=[hook(), {"type": "StopAt", "iteration": 9}])
    assert [line["step"] for line in reports(tmp_path / "work")] == [2, 4, 6, 8]
    checkpoint = str(tmp_path / "work" / "epoch_1.pth")
    train(tmp_path / "work", method, custom_hooks=[hook()], resume=True, load_from=checkpoint)
    whole, resumed = reports(tmp_path / "whole"), reports(tmp_path / "work")
    assert [line["step"] for line in resumed] == [2, 4, 6, 8, 10, 12]
    assert [line["layers"] for line in resumed] == [line["layers"] for line in whole]
    assert [line["since"] for line in resumed] == [0, 0, 0, 6, 6, 6]


def test_a_run_that_began_without_a_monitor_counts_from_its_iterations(tmp_path):
    train(tmp_path / "work")
    twice_as_long = {"by_epoch": True, "max_epochs": 4}
    checkpoint = str(tmp_path / "work" / "epoch_2.pth")
    hooks = [hook()]
    train(tmp_path / "work", custom_hooks=hooks, resume=True, load_from=checkpoint, train_cfg=twice_as_long)
    assert [line["step"] for line in reports(tmp_path / "work")] == [14, 16, 18, 20, 22, 24]


@pytest.mark.parametrize("chosen", [None, ["head.weight"]])
def test_without_norm_layers_all_weights_are_monitored_or_those_that_are_named(tmp_path, chosen):
    for _ in range(2):  # a new run replaces the file
        train(tmp_path, model={"norm": "NoNorm"}, custom_hooks=[hook(6, names=chosen)])
    names = chosen or ["conv1.weight", "depthwise.weight", "conv3.weight", "head.weight"]
    assert [line["layers"]["name"] for line in reports(tmp_path)] == [names, names]


def test_two_hooks_are_refused(tmp_path):
    with pytest.raises(NormRegError, match="several monitor hooks"):
        train(tmp_path, WRS, custom_hooks=[hook(), hook()])


@HOOKS.register_module()
class DamageFilters(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        net = runner.model
        if runner.iter == 0:
            DAMAGES["zero"].do(net.conv1, net.bn1)
            DAMAGES["great entry"].do(net.depthwise, net.bn2)
            DAMAGES["fast"].do(net.conv3, net.bn3)
        if runner.iter == 11:
            DAMAGES["broken"].do(net.conv1, net.bn1)


def test_the_log_has_a_warning_of_each_kind(tmp_path):
    settings = {"optim_wrapper": {"optimizer": {"weight_decay": 1e-6}}}
    train(tmp_path, custom_hooks=[hook(1), {"type": "DamageFilters"}], **settings)
    (log,) = tmp_path.glob("*/*.log")
    found = [line for line in log.read_text().splitlines() if "WARNING" in line]
    layers = {"zero": "conv1", "great entry": "depthwise", "fast": "conv3", "broken": "conv1"}
    for kind, layer in layers.items():
        says = DAMAGES[kind].says.format(layer=rf"{layer}\.weight", norm="bn2")
        assert len([line for line in found if re.search(says, line)]) == 1
    assert len([line for line in found if "far from the equilibrium of learning rate and weight decay" in line]) == 1


@METRICS.register_module()
class SinglePrecisionScore(MeanScore):
    """mmseg's scores are numbers of NumPy, not of Python."""

    def compute_metrics(self, results):
        return {"aAcc": np.float32(1.0), "mIoU": np.float32(super().compute_metrics(results)["score"]), "name": "toy"}


def test_the_file_is_read_and_drawn(tmp_path):
    train(tmp_path, WRS, custom_hooks=[hook(3)], **{**SCORED, "val_evaluator": {"type": "SinglePrecisionScore"}})
    run = read_run(tmp_path / "norms.jsonl")
    assert run.curves["loss"][0] == run.curves["norms/mean"][0] == [3, 6, 9, 12]
    assert run.curves["mIoU"][0] == [6, 12]
    assert "name" not in run.curves
    assert run.rate_law == "eta_over_squared_norm"
    plot_runs([tmp_path / "norms.jsonl"], tmp_path / "run.svg")
    text = (tmp_path / "run.svg").read_text()
    assert all(title in text for title in ("filter norm", "effective rate of SGD", "rotation", "loss", "mIoU"))
