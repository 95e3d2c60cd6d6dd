"""The comparison of all methods on a drawn set. It does not repeat runs that have a result."""

import json

import pytest

pytestmark = pytest.mark.mm


@pytest.fixture
def done(tmp_path):
    """Results of two methods over two seeds, as its runs leave them."""
    for method, scores in {"wd": (9.5, 10.5), "wrs": (7.0, 8.0)}.items():
        for seed, score in enumerate(scores):
            folder = tmp_path / f"{method}_{seed}"
            folder.mkdir()
            (folder / "result.json").write_text(json.dumps({"count/MAE": score, "count/RMSE": score + 4}))
    return tmp_path


def test_runs_that_are_done_are_not_done_again(run_tool, done):
    shown = run_tool(
        "research/compare_methods.py", "crowd", "--methods", "wd", "wrs", "--seeds", 0, 1, "--work-dir", done
    )
    assert shown.returncode == 0, shown.stderr
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in shown.stdout.strip().splitlines()]
    assert [row for row in rows if len(row) == 4 and "-" not in row[0]] == [
        ["method", "MAE, seeds 0, 1", "mean MAE", "mean RMSE ('MSE')"],
        ["wd", "9.50, 10.50", "10.00", "14.00"],
        ["wrs", "7.00, 8.00", "7.50", "11.50"],
    ]


def test_a_method_without_a_config_is_named(run_tool):
    refused = run_tool("research/compare_methods.py", "crowd", "--methods", "wd", "adamp")
    assert refused.returncode == 2
    assert "--methods adamp: configs/mini has wd, wrs, wrs_ic, aws, pgd for crowd" in refused.stderr


@pytest.mark.slow
def test_a_run_leaves_its_result(run_tool, tmp_path, monkeypatch):
    """One crowd counter, trained and tested in full but for the length."""
    from tools.research.mini_tasks import TASKS, config_of

    from tools.research import compare_methods as tool

    made = run_tool("data/make_mini_data.py", "crowd", "--train", 6, "--val", 2, "--out", tmp_path / "raw")
    assert made.returncode == 0, made.stderr
    sides = ("--sides", 96, 128, "--val", 2)
    prepared = run_tool("data/prepare_qnrf.py", "--any-counts", tmp_path / "raw", tmp_path / "data", *sides)
    assert prepared.returncode == 0, prepared.stderr
    monkeypatch.chdir(tmp_path)
    data = {"dataset": {"data_root": str(tmp_path / "data")}}
    config = tmp_path / "short.py"
    config.write_text(
        f"_base_ = {str(config_of('crowd', 'wrs'))!r}\n"
        f"train_dataloader = {data!r}\nval_dataloader = {data!r}\ntest_dataloader = {data!r}\n"
        "train_cfg = dict(max_epochs=1, val_interval=1)\n"
    )
    result = tool.run(config, 3, tmp_path / "wrs_3")
    assert set(TASKS["crowd"].scores.values()) <= set(result)
    assert json.loads((tmp_path / "wrs_3" / "result.json").read_text()) == result
    assert tool.run(config, 3, tmp_path / "wrs_3") == result
