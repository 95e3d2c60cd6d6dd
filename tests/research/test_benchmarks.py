"""The benchmarks run on small sizes, and their tables say what was measured."""

from pathlib import Path

import pytest
import torch

from research.benchmarks import bayesian_loss, layers, passes, step, timing

ROOT = Path(__file__).resolve().parents[2]
PASSES = ["passes", "--model", "resnet18", "--size", "32", "--batch", "2", "--rounds", "2"]


@pytest.fixture(autouse=True)
def same_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def rows_of(printed: str) -> dict[str, list[str]]:
    """The rows of all tables by their first cell."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]
    return {first: rest for first, *rest in rows}


def test_functions_take_turns_and_the_first_round_is_dropped() -> None:
    calls: list[str] = []
    times = timing.interleaved({name: lambda n=name: calls.append(n) for name in "ab"}, rounds=3)
    assert "".join(calls) == "abababab"
    assert {name: len(found) for name, found in times.items()} == {"a": 3, "b": 3}


def test_memory_is_the_most_that_a_call_held() -> None:
    def allocate() -> None:
        first = torch.ones(1000)
        del first
        both = torch.ones(1500), torch.ones(500)
        del both

    assert timing.peak_memory(allocate) == 4 * 2000
    assert timing.peak_memory(lambda: None) == 0


def test_passes_prints_ratios_and_shares(capsys) -> None:
    assert step.main(PASSES) == 0
    printed = capsys.readouterr().out
    assert "resnet18 on cpu: 20 weights, 11.2 M entries" in printed
    rows = rows_of(printed)
    assert rows[passes.LIMIT][0] == "1.00"
    assert float(rows["WRS"][2]) < 0.1 < 1 <= float(rows["Hyperball"][2])  # which copies each weight
    for name in (
        "WRS, every 10 updates",
        "the projection of SGDP",
        "monitor, a report every 50 updates",
    ):
        assert rows[name][0].endswith(" %")


def test_each_pass_does_the_work_it_is_named_after() -> None:
    net = passes.build("resnet18", 2, 32, "cpu")
    net.forward_backward()
    work, weights = passes.passes(net)
    weight = weights[-1].detach()
    for name, norm in (("WRS", 1), ("PGD", 2**0.5), (passes.LOOP, 1)):
        weight.mul_(3)
        work[name]()
        assert weight.flatten(1).norm(dim=1).sub(norm).abs().max() < 1e-5
    for name in (passes.LIMIT, passes.PROJECTION):
        before = weight.clone()
        work[name]()
        assert torch.equal(weight, before)


def test_shares_are_parts_of_the_step_they_belong_to() -> None:
    times = {"SGD": [4.0], "SGDP": [8.0], passes.FORWARD_BACKWARD: [8.0]}
    times |= {"WRS": [1.0], "AWS": [3.0], "PGD": [9.0], "Hyperball": [1.0], "corrected decay": [1.0]}
    found = passes.shares(times | {passes.REPORTED: [54.0], passes.UNREPORTED: [0.0]})
    assert found["AWS, every update"] == 3 / 15
    assert found["WRS, every 10 updates"] == pytest.approx(0.1 / 12.1)
    assert found["the projection of SGDP"] == 4 / 16
    assert found["monitor, a report every 50 updates"] == 1 / 13


def test_layers_prints_a_row_for_each(capsys) -> None:
    assert step.main(["layers", "--widths", "8", "--rounds", "2"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert set(rows) == set(layers.RIVALS)
    assert rows[layers.TIMM][1:] == rows[layers.TORCH][1:] == ["1.00"] * 3


def test_the_bayesian_losses_compared_are_equal(capsys) -> None:
    assert step.main(["bayesian_loss", "--points", "60", "--rounds", "2", "--background", "margin"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert set(rows) == set(bayesian_loss.LAYOUTS)
    assert all(float(row[3]) > 1 and float(row[-1]) < 1e-4 for row in rows.values())


@pytest.mark.parametrize("arguments", [["layers", "--widths", "1"], ["passes", "--rounds", "1"], ["speed"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        step.main(arguments)


@pytest.mark.mm
@pytest.mark.slow
def test_training_compares_configs_with_the_first(tmp_path, monkeypatch, capsys) -> None:
    """The mini CSRNet under weight decay and under WRS, on a few drawn crowds."""
    from normreg_plugins.cli.data import make_mini_data, prepare_crowds

    monkeypatch.chdir(tmp_path)
    make_mini_data.main(["crowd", "--train", "8", "--val", "2", "--out", "raw"])
    prepare_crowds.qnrf(["--any-counts", "raw", "data", "--sides", "96", "128", "--val", "2"])
    for method in ("wd", "wrs"):
        base = ROOT / "configs" / "mini" / f"csrnet_{method}.py"
        data = "train_dataloader = dict(batch_size=2, dataset=dict(data_root='data'))\n"
        Path(f"{method}.py").write_text(f"_base_ = {str(base)!r}\n{data}")
    assert step.main(["training", "wd.py", "wrs.py", "--rounds", "2"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows["wd"][0] == "1.00"
    assert float(rows["wrs"][0]) > 0
