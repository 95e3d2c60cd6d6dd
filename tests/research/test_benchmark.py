"""The benchmark measures what it says, and says which."""

import pytest
import torch

from normreg_plugins import WeightRescaling, attach
from research import benchmark as tool

SMALL = ["--model", "resnet18", "--size", "32", "--batch", "2", "--rounds", "2", "--threads", "1"]


@pytest.fixture
def net() -> tool.Net:
    net = tool.build("resnet18", 2, 32, torch.device("cpu"))
    net.forward_backward()
    return net


def lengths(net: tool.Net, name: str) -> torch.Tensor:
    return net.model.get_parameter(name).detach().flatten(1).norm(dim=1)


def test_each_pass_does_the_work_it_is_named_after(net: tool.Net) -> None:
    work, handle = tool.passes(net)
    assert len(handle.targets) == 20
    name = "layer4.1.conv2.weight"
    weight = net.model.get_parameter(name)

    def moved_by(which: str) -> torch.Tensor:
        before = weight.detach().clone()
        work[which]()
        return weight.detach() - before

    with torch.no_grad():
        weight.mul_(3)
    assert moved_by("AWS").norm() > 0
    assert (lengths(net, name) < 3 * 2**0.5).all()
    moved_by("WRS")
    assert lengths(net, name).sub(1).abs().max() < 1e-5
    moved_by("PGD")
    assert lengths(net, name).sub(2**0.5).abs().max() < 1e-5
    radius = weight.detach().norm()
    assert moved_by("Hyperball").norm() < 1e-5 * radius  # the idle optimizer took no step to turn along
    moved_by(tool.LOOP)
    assert lengths(net, name).sub(1).abs().max() < 1e-5
    assert moved_by(tool.LIMIT).norm() == 0
    assert moved_by(tool.PROJECTION).norm() == 0  # it projects an update, not the weight


def test_the_memory_is_the_most_that_a_call_held() -> None:
    def allocate() -> None:
        first = torch.ones(1000)
        del first
        both = torch.ones(1500), torch.ones(500)
        del both

    assert tool.peak_memory(allocate) == 4 * 2000
    assert tool.peak_memory(lambda: None) == 0


def test_hyperball_copies_each_weight_for_a_while(net: tool.Net) -> None:
    work, handle = tool.passes(net)
    weights = 4 * sum(net.model.get_parameter(name).numel() for name in handle.targets)
    assert 1 <= tool.peak_memory(work["Hyperball"]) / weights < 2.5
    assert tool.peak_memory(work["WRS"]) / weights < 0.1


def test_an_idle_optimizer_counts_its_steps_and_moves_nothing(net: tool.Net) -> None:
    optimizer = tool.Idle(net.model)
    before = [parameter.detach().clone() for parameter in net.model.parameters()]
    handle = attach(optimizer, net.model, WeightRescaling(interval=100), forward=net.loss)
    optimizer.step()
    assert handle.updates == 1
    assert all(map(torch.equal, before, net.model.parameters()))


def test_the_first_round_is_dropped_and_work_takes_turns() -> None:
    calls: list[str] = []
    times = tool.interleaved({name: lambda n=name: calls.append(n) for name in "ab"}, rounds=3, wait=lambda: None)
    assert "".join(calls) == "abababab"
    assert {name: len(found) for name, found in times.items()} == {"a": 3, "b": 3}


def test_shares_are_parts_of_the_step_they_belong_to() -> None:
    times = {"SGD": [1.0], "SGDP": [3.0], "AdamW": [2.0], "AdamP": [6.0], tool.FORWARD_BACKWARD: [8.0]}
    times |= {"WRS": [1.0], "AWS": [3.0], "PGD": [9.0], "Hyperball": [1.0]}
    assert tool.shares(times) == {
        "WRS, every update": 1 / 10,
        "AWS, every update": 3 / 12,
        "PGD, every update": 9 / 18,
        "Hyperball, every update": 1 / 10,
        "WRS, every 10 updates": pytest.approx(0.1 / 9.1),
        "SGDP instead of SGD": 2 / 11,
        "AdamP instead of AdamW": 4 / 14,
    }


def test_it_prints_ratios_and_shares(capsys) -> None:
    threads = torch.get_num_threads()
    try:
        assert tool.main(SMALL) == 0
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    for line in (
        "resnet18 on cpu, 1 threads",
        "20 targets, 11.2 M entries",
        "2 images of 32 px",
        "AdamP instead of",
        "a monitor that",
    ):
        assert line in printed
    limit = next(line for line in printed.splitlines() if "multiply in place" in line)
    assert limit.split("│")[2].strip() == "1.00"
    assert "host waits" not in printed


@pytest.mark.mm
def test_yolov3_is_the_net_where_mmdet_is() -> None:
    assert tool.parse_args([]).model == "yolov3"
    net = tool.build("yolov3", 2, 32, torch.device("cpu"))
    net.forward_backward()
    assert len(tool.passes(net)[1].targets) == 72


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "1"], "--rounds 1: must be 2 or more"),
        (["--batch", "1"], "--batch 1: must be 2 or more"),
        (["--model", "resnet1001"], "--model resnet1001"),
        pytest.param(
            ["--device", "cuda"],
            "--device cuda: torch sees no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(capsys, arguments, words) -> None:
    with pytest.raises(SystemExit, match="2"):
        tool.main(arguments)
    assert words in capsys.readouterr().err
