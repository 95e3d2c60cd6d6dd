"""The log of a run: complete lines in order, none of an update that is not part of the run, and reading it back."""

import json
import math
import os

import pytest
from helpers.training import tiny_net, train
from torch.optim import SGD, Adam

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.errors import NormRegError
from normreg_plugins.files import DamagedFileError
from normreg_plugins.monitor import JsonLinesSink, Monitor, log_of, logs_of, read_run


def monitored(path, every=2):
    net = tiny_net()
    optimizer = SGD(net.parameters(), lr=0.05)
    attach(optimizer, net, WeightRescaling())  # its count is saved with the optimizer
    sink = JsonLinesSink(path)
    return net, optimizer, sink, Monitor(optimizer, net, every=every, sinks=[sink])


def steps(path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_what_is_written_is_read_back(tmp_path) -> None:
    path = tmp_path / "new" / "run.jsonl"
    net, optimizer, sink, monitor = monitored(path)
    sink.write(1, loss=2.5, score=math.nan)
    train(net, optimizer, 4)
    sink.write(4, loss=1.5)
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)  # no NaN, which JSON does not have
    run = read_run(path, "mine")
    assert run.name == "mine"
    assert run.rate_law == "eta_over_squared_norm"
    assert run.curves["loss"] == ([1, 4], [2.5, 1.5])
    assert "score" not in run.curves
    assert run.layer_steps == [2, 4]
    assert run.layer_names == ["0.weight", "3.weight"]
    assert run.layers["filter_norm"][1] == pytest.approx([row.filter_norm for row in monitor.last.layers.values()])
    for key, value in monitor.last.scalars().items():
        if math.isnan(value):  # no weight decay, no standardized layer
            assert key not in run.curves
        else:
            assert run.curves[key][1][-1] == pytest.approx(value, rel=1e-6)


def test_the_names_of_scalars_stay() -> None:
    net = tiny_net()
    optimizer = Adam(net.parameters(), lr=0.05)
    reports = []
    Monitor(optimizer, net, every=1, sinks=[reports.append])
    train(net, optimizer, 3)
    assert len({tuple(report.scalars("n/", layers=True)) for report in reports}) == 1
    assert {"n/min", "n/mean", "n/max", "n/smallest_layer", "n/largest_layer", "n/zero_filters"} <= set(
        reports[0].scalars("n/")
    )
    assert reports[0].scalars(layers=True)["norms/3.weight/filters"] == 8


def test_a_new_run_replaces_the_lines_of_an_old_one(tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"step": 1}\n{"step": 900}\n')
    net, optimizer, _, _ = monitored(path)
    train(net, optimizer, 4)
    assert steps(path) == [2, 4]


def test_a_resumed_run_drops_the_updates_that_happen_again(tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    net, optimizer, sink, _ = monitored(path)
    train(net, optimizer, 5)
    saved = optimizer.state_dict()
    train(net, optimizer, 3, first=5)
    sink.write(8, loss=1.0)
    assert steps(path) == [2, 4, 6, 8, 8]
    with path.open("a") as file:
        file.write('{"step": 10, "norms/me')  # killed while writing
    net, optimizer, sink, _ = monitored(path)
    optimizer.load_state_dict(saved)
    sink.write(5, loss=0.5)
    train(net, optimizer, 3, first=5)
    assert steps(path) == [2, 4, 5, 6, 8]


def test_a_state_loaded_during_a_run_drops_them_too(tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    net, optimizer, sink, _ = monitored(path)
    train(net, optimizer, 2)
    saved = optimizer.state_dict()
    for _ in range(2):
        train(net, optimizer, 6)
        assert steps(path) == [2, 4, 6, 8]
        optimizer.load_state_dict(saved)
    sink.write(3, loss=1.0)
    train(net, optimizer, 2)
    assert steps(path) == [2, 3, 4]


def test_evaluations_of_mmengine_stand_at_the_end_of_their_epoch(tmp_path) -> None:
    lines = [
        {"lr": 0.1, "loss": 3.0, "epoch": 1, "iter": 10, "step": 10},
        {"norms/mean": 1.0, "step": 2},
        {"coco/bbox_mAP_50": 0.5, "step": 1},
        {"lr": 0.1, "loss": 2.0, "epoch": 2, "iter": 20, "step": 20},
        {"coco/bbox_mAP_50": 0.7, "step": 2},
    ]
    path = tmp_path / "scalars.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = read_run(path)
    assert run.curves["coco/bbox_mAP_50"] == ([10, 20], [0.5, 0.7])
    assert run.curves["norms/mean"] == ([2], [1.0])
    assert run.curves["loss"] == ([10, 20], [3.0, 2.0])


@pytest.mark.parametrize("text", [None, '{"loss": 1.0}\n'])
def test_a_file_that_is_no_run_is_named(tmp_path, text) -> None:
    path = tmp_path / "other.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NormRegError, match=r"other\.jsonl"):
        read_run(path)


@pytest.mark.parametrize("layers", [[1], {"norm": [1.0]}, {"name": ["a"], "norm": ["one"]}, {"name": 3}])
def test_lines_that_no_monitor_wrote(tmp_path, layers) -> None:
    (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "layers": layers}) + "\n")
    with pytest.raises(DamagedFileError, match=r"log\.jsonl is not as a monitor or mmengine writes it"):
        read_run(tmp_path / "log.jsonl")


def write(path, age=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"step": 1, "loss": 1.0}\n')
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_newest_log_of_a_folder_is_taken(tmp_path):
    write(tmp_path / "a" / "20200101" / "vis_data" / "scalars.json", age=100)
    new = write(tmp_path / "a" / "20210101" / "vis_data" / "scalars.json")
    assert log_of(tmp_path / "a") == new
    ours = write(tmp_path / "a" / "norms.jsonl", age=200)  # says more than the host's log
    assert log_of(tmp_path / "a") == ours
    assert log_of(ours) == ours
    with pytest.raises(NormRegError, match=r"no run; it has none of norms\.jsonl"):
        log_of(tmp_path)


def test_names_tell_runs_apart(tmp_path):
    for name in ("wd/seed0", "wrs/seed0", "wrs/seed1"):
        write(tmp_path / name / "norms.jsonl")
    one, two, three = (tmp_path / name for name in ("wd/seed0", "wrs/seed0", "wrs/seed1"))
    assert list(logs_of([two, three])) == ["seed0", "seed1"]
    assert list(logs_of([one, two])) == [str(one), str(two)]
    assert list(logs_of([one, two], ["a", "b"])) == ["a", "b"]
    with pytest.raises(NormRegError, match="different names, got a, a"):
        logs_of([one, two], ["a", "a"])
