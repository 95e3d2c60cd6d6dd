"""The command that compares methods, from a description to tables and pictures."""

import json
from pathlib import Path

import pytest
from helpers.made_up_cifar import write_pictures
from matplotlib.image import imread

from research import prepare_cifar_jpeg

COMMAND = "research/compare_methods.py"


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Two methods on made-up pictures, by a description of one's own."""
    raw = write_pictures(tmp_path / "raw", train=10, test=4)
    assert prepare_cifar_jpeg.main([str(raw), str(tmp_path / "data"), "--any-counts"]) == 0
    description = tmp_path / "mine.py"
    description.write_text(
        "title = 'made up'\nkind = 'cifar'\n"
        f"base = dict(data={str(tmp_path / 'data')!r}, net='cnn8', pictures=40, batch=20, epochs=1,"
        " validated=20, tested=40)\n"
        "methods = {'WD': dict(method=dict(type='WD')), 'WRS': dict(method=dict(type='WRS'))}\n"
        "scores = {'accuracy %': 'accuracy'}\nrate = 'rate'\nrates = (0.01, 0.1)\nseeds = (0, 1)\n"
        "sweeps = {'weight decay': {'WD': 0.1}, 'tau': {'WRS': 10}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return description


def test_a_comparison_is_run_once_and_shown_again_from_its_json(described, tool):
    first = tool(COMMAND, described)
    assert first.returncode == 0, first.stderr
    folder = Path("work_dirs/compare_mine")
    cells = json.loads((folder / "mine.json").read_text())["cells"]
    assert len(cells) == 2 * (2 + 1)
    assert f"Command: `python research/compare_methods.py {described}`" in first.stdout
    assert all(imread(folder / f"mine_{kind}.png").size for kind in ("scores", "rates", "sweeps"))
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    assert len(written) == 6
    again = tool(COMMAND, described)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert again.stdout == first.stdout
    shown = tool(COMMAND, folder / "mine.json")
    assert shown.stdout == first.stdout


def test_one_process_may_take_a_part_of_the_table(described, tool):
    done = tool(COMMAND, described, "--methods", "WRS", "--seeds", 3, "--cfg-options", "weight_decay=0.1")
    assert "| WD | not run |" in done.stdout
    assert "--seeds 3 --cfg-options weight_decay=0.1`" in done.stdout
    (cell, *_) = json.loads(Path("work_dirs/compare_mine/mine.json").read_text())["cells"]
    assert (cell["method"], cell["seed"]) == ("WRS", 3)
    refused = tool(COMMAND, described, "--seeds", 3)
    assert refused.returncode == 2
    assert "weight_decay=0.1, and now None is wanted" in refused.stderr


def test_a_method_that_the_comparison_lacks_is_named(tool):
    refused = tool(COMMAND, "crowd", "--methods", "wd", "adamp")
    assert refused.returncode == 2
    assert "--methods adamp: crowd has wd, wrs, wrs_ic, aws, pgd" in refused.stderr


@pytest.mark.mm
@pytest.mark.slow
def test_an_mm_config_is_trained_and_tested(run_tool, tmp_path, monkeypatch):
    """One crowd counter, trained and tested in full but for the length."""
    from research.comparison.cells import Cell
    from research.comparison.description import read_comparison
    from research.comparison.train_cell import train_cell

    made = run_tool("data/make_mini_data.py", "crowd", "--train", 6, "--val", 2, "--out", tmp_path / "raw")
    assert made.returncode == 0, made.stderr
    sides = ("--sides", 96, 128, "--val", 2)
    prepared = run_tool("data/prepare_qnrf.py", "--any-counts", tmp_path / "raw", tmp_path / "data", *sides)
    assert prepared.returncode == 0, prepared.stderr
    monkeypatch.chdir(tmp_path)
    splits = ("train", "val", "test")
    roots = {f"{split}_dataloader.dataset.data_root": str(tmp_path / "data") for split in splits}
    short = {**roots, "train_cfg.max_epochs": 1, "train_cfg.val_interval": 1}
    result = train_cell(read_comparison("crowd").with_settings(short), Cell("wrs", "", None, 3), tmp_path / "wrs_3")
    assert result.validation > 0
    assert {"count/MAE", "count/RMSE"} <= set(result.test)
    assert "mmengine" in " ".join(result.stack)
