"""The runner of tables: which cells are trained, in which part, and what the table says."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.layer_cases import fill_norms_
from matplotlib.image import imread

from normreg_plugins.crowd.network import CSRNet
from research.cifar.training import training_of
from research.compare.__main__ import main
from research.compare.cells import (
    RESULT,
    Cell,
    Result,
    chosen_rate,
    read_result,
    results_so_far,
    save_result,
    settings_of,
)
from research.compare.cells import wanted_cells as wanted
from research.compare.description import Comparison, ComparisonError, described, read_comparison
from research.compare.figures import _grids, draw
from research.compare.fine_tuning import rows
from research.compare.function_kept import changes, loaded_runner, pretrained_part
from research.compare.page import markdown
from research.compare.scores import against_baseline, paired, scores_of
from research.compare.train_cell import config_of, mixed_precision, part_of, train_cell, work

ROOT = Path(__file__).resolve().parents[2]
TABLE = Comparison(
    name="table",
    title="a table",
    kind="cifar",
    methods={"wd": {"decay": 1}, "wrs": {"tau": 10}},
    scores={"accuracy %": "accuracy"},
    rate="rate",
    rates=(0.01, 0.1, 1.0),
)


def plain(**more):
    return Comparison("t", "t", "cifar", {"wd": {}, "wrs": {}}, {"a": "accuracy"}, **more)


def result(validation, test=0.0):
    return Result(validation, {"accuracy": test}, 1.0, "2026-01-01", {"device": "CPU", "torch": "2.11.0"})


def scored(_, cell, __):
    """A training whose best rate is 0.1 for wd and 1 for wrs. The test scores would choose another rate."""
    best = {"wd": 0.1, "wrs": 1.0}[cell.method]
    return result(80.0 if cell.rate == best else 70.0, 60.0 + cell.seed if cell.rate == best else 99.0)


def test_validation_chooses_the_rate_and_the_test_is_reported(tmp_path):
    trained = []

    def train(*args):
        trained.append(args[1])
        return scored(*args)

    assert work(TABLE, tmp_path, train) == []
    assert len(trained) == len(set(trained)) == 2 * (3 + 2), "three rates with seed 0, then two more seeds"
    (lost := tmp_path / trained[0].folder / RESULT).unlink()
    assert work(TABLE, tmp_path, train) == []
    assert lost.is_file()
    assert trained[10:] == trained[:1], "nothing else is trained again, although the choice was open"
    found = results_so_far(TABLE, tmp_path)
    assert chosen_rate(TABLE, found, "", "wrs") == (1.0,)
    assert scores_of(TABLE, found, "", "wd", "accuracy") == {0: 60.0, 1: 61.0, 2: 62.0}
    text = markdown(TABLE, found, "command")
    assert "| wd | 61.0±1.0 (rate 0.1) |  |" in text
    assert "| wrs | 61.0±1.0 (rate 1) | +0.00 |" in text


def test_a_lower_score_is_better_where_the_comparison_says_so():
    errors = plain(rate="rate", rates=(1.0, 2.0), higher_is_better=False)
    found = {Cell("wd", "", 1.0, 0): result(9.0), Cell("wd", "", 2.0, 0): result(7.0)}
    assert chosen_rate(errors, found, "", "wd") == (2.0,)
    found[Cell("wd", "", 2.0, 0)] = result(None)
    assert chosen_rate(errors, found, "", "wd") == (1.0,), "a training that diverged is the worst"


@pytest.mark.parametrize("name", ["cifar_finetune", "bccd"])
@pytest.mark.parametrize("count", [1, 7, 50])
def test_parts_are_disjoint_and_cover_the_table(name, count):
    comparison = read_comparison(name)
    parts = [part_of(comparison.groups, f"{i}/{count}") for i in range(1, count + 1)]
    assert sorted(group for part in parts for group in part) == sorted(comparison.groups)
    cells = [cell for part in parts for cell in wanted(comparison, {}, part)]
    assert len(cells) == len(set(cells))
    assert set(cells) == set(wanted(comparison, {}))


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b"])
def test_what_is_no_part_is_refused(part):
    with pytest.raises(ComparisonError, match="write i/n"):
        part_of(TABLE.groups, part)


def test_the_paired_test_is_that_of_a_hand_calculation():
    """Differences 1, 2, 3: mean 2, deviation 1, so t = 2 sqrt(3). With two degrees of freedom p has a closed form."""
    test = paired([(11.0, 10.0), (22.0, 20.0), (33.0, 30.0)])
    t = 2 * math.sqrt(3)
    assert (test.pairs, test.difference) == (3, 2.0)
    assert test.t == pytest.approx(t)
    assert test.p == pytest.approx(1 - t / math.sqrt(2 + t**2))
    assert math.isnan(paired([(11.0, 10.0), (22.0, 21.001)]).p)  # alike by chance


def test_a_pair_is_a_column_with_the_means_of_the_seeds_that_both_have():
    table = plain(columns={"x": {}, "y": {}})
    found = {Cell("wd", column, None, seed): result(0, seed) for column in "xy" for seed in (0, 1)}
    found |= {Cell("wrs", "x", None, seed): result(0, 5.0 + seed) for seed in (0, 1)}
    found |= {Cell("wrs", "y", None, 1): result(0, 7.0), Cell("wrs", "y", None, 2): result(0, 100.0)}
    assert against_baseline(table, found, "wrs") == paired([(5.5, 0.5), (7.0, 1.0)])


def test_with_one_column_a_pair_is_a_seed():
    found = {Cell("wd", "", None, seed): result(0, seed) for seed in (0, 1)}
    found |= {Cell("wrs", "", None, 0): result(0, 5.0), Cell("wrs", "", None, 1): result(0, 7.0)}
    assert against_baseline(plain(), found, "wrs") == paired([(5.0, 0.0), (7.0, 1.0)])


def test_every_rate_has_a_table_for_each_score_or_a_picture_of_squares(tmp_path):
    """One training diverged; its square is empty."""
    table = replace(TABLE, seeds=(0,), every_rate={"": ("wd", "wrs")}, scores={"a %": "accuracy", "norm": "norm"})
    scores = {method: {rate: place + 1.0 for place, rate in enumerate(TABLE.rates)} for method in TABLE.methods}
    found = {
        Cell(method, "", rate, 0): replace(result(score), test={"accuracy": score, "norm": 10 * score})
        for method, rates in scores.items()
        for rate, score in rates.items()
    }
    found[Cell("wrs", "", 1.0, 0)] = replace(result(None), test={"accuracy": None, "norm": None})
    found[Cell("wrs", "", 0.1, 0)] = replace(result(20.0), test={"accuracy": 20.0, "norm": 0.0})
    assert "every rate" not in markdown(table, found, "command"), "the picture has them"
    text = markdown(replace(table, columns={"": {}, "other": {}}), found, "command")
    assert "| every rate, norm | rate 0.01 | rate 0.1 | rate 1 |" in text
    assert "| wd | 10.0 | 20.0 | 30.0 |" in text
    assert "| every rate, a % |" in text
    assert _grids(table, found)["norm"]["wrs"] == pytest.approx([10, 0, math.nan], nan_ok=True)
    assert "table_grids.png" in {path.name for path in draw(table, found, tmp_path)}


def test_what_was_not_run_and_what_diverged_is_said():
    found = {Cell("wd", "", rate, 0): result(50.0, 40.0) for rate in TABLE.rates}
    text = markdown(TABLE, found, "command")
    for row in ("| wd | 40.0, 1 of 3 seeds (rate 0.01) |", "| wrs | not run | not run |"):
        assert row in text
    found = {Cell("wd", "", None, seed): result(None, None if seed else 50.0) for seed in range(3)}
    assert "| wd | 50.0, 2 of 3 failed |" in markdown(plain(), found, "command")


def test_results_of_other_settings_are_refused(tmp_path):
    cell = Cell("wd", "", 0.1, 0)
    save_result(TABLE, tmp_path, cell, result(50.0))
    assert read_result(TABLE, tmp_path, cell) == result(50.0)
    with pytest.raises(ComparisonError, match="was trained with epochs=None, not 5"):
        read_result(replace(TABLE, base={"epochs": 5}), tmp_path, cell)


def test_a_failed_cell_does_not_end_the_others_and_is_tried_again(tmp_path, capsys):
    def train(*args):
        if args[1].rate == 0.01:
            raise RuntimeError("out of memory")
        return scored(*args)

    failed = work(TABLE, tmp_path, train)
    assert {(cell.method, cell.rate) for cell in failed} == {("wd", 0.01), ("wrs", 0.01)}
    assert "out of memory" in capsys.readouterr().err
    assert len(results_so_far(TABLE, tmp_path)) == 4
    assert work(TABLE, tmp_path, scored) == []


@pytest.mark.parametrize("name", described())
def test_the_descriptions_are_sound(name):
    comparison = read_comparison(name)
    folders = [cell.folder for cell in wanted(comparison, {})]
    assert len(folders) == len(set(folders))
    if comparison.kind == "mm":
        assert all(config_of(comparison, method, column).is_file() for column, method in comparison.groups)
    elif comparison.kind == "cifar":  # test_tables.py has those in mmpretrain
        assert all(training_of(settings_of(comparison, Cell(m, c, None, 0))) for c, m in comparison.groups)


def test_the_description_on_the_page_is_one(tmp_path):
    page = (ROOT / "docs" / "results" / "index.md").read_text()
    (code,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.py").write_text(code)
    comparison = read_comparison(tmp_path / "mine.py")
    assert {cell.rate for cell in wanted(comparison, {})} == {0.001, 0.003, 0.01}
    assert settings_of(comparison, Cell("wrs own norms", "", 0.003, 0))["optim_wrapper.optimizer.lr"] == 0.003
    assert config_of(comparison, "wrs own norms") == ROOT / "configs" / "my_yolov3_wrs.py"
    assert config_of(comparison, "wd") == ROOT / "configs" / "my_yolov3_wd.py"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rate_s = 1", "'rate_s' is unknown"),
        ("rate, rates, rates_of = 'r', (1.0, 2.0), {'wd': (1.0,)}", "equally many rates, not wd: 1, wrs: 2"),
        ("baseline = 'adam'", "'adam' is not one of its methods"),
    ],
)
def test_a_bad_description_is_refused(tmp_path, line, message):
    text = "title = 't'\nkind = 'cifar'\nmethods = {'wd': {}, 'wrs': {}}\nscores = {'a': 'a'}\n"
    (tmp_path / "mine.py").write_text(text + line)
    with pytest.raises(ComparisonError, match=message):
        read_comparison(tmp_path / "mine.py")


DIGITS = """
title, kind = 'made up', 'cifar'
base = dict(data='digits', net='cnn8', pictures=40, batch=20, epochs=1, validated=20, tested=40)
methods = {'WD': dict(method=dict(type='WD')), 'WRS': dict(method=dict(type='WRS'))}
scores = {'accuracy %': 'accuracy'}
rate, rates, seeds = 'rate', (0.01, 0.1), (0, 1)
sweeps = {'weight decay': {'WD': 0.1}, 'tau': {'WRS': 10}}
"""


def test_two_processes_train_a_table_and_a_third_command_writes_its_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(DIGITS)
    command = [sys.executable, "-m", "research.compare", "mine.py", "--part"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    workers = [subprocess.Popen([*command, part], env=env, stderr=subprocess.DEVNULL) for part in ("1/2", "2/2")]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    folder = Path("work_dirs/compare_mine")
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    assert len(written) == 2 * (2 + 1)
    assert not (folder / "mine.md").exists()
    Path("page.md").write_text("before\n<!-- tables of mine -->\n<!-- end of mine -->\nafter\n")
    assert main(["mine.py", "--page", "page.md", "--out", "raw"]) == 0
    first = capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert "`python -m research.compare mine.py`: seeds " in first
    assert f"{first.split('picture:')[0].strip()}\n" in Path("page.md").read_text()
    assert all(imread(f"mine_{kind}.png").size for kind in ("scores", "rates", "sweeps"))
    assert main(["raw/mine.json", "--page", "page.md"]) == 0
    assert capsys.readouterr().out == first
    Path("mine.py").write_text(DIGITS.replace("epochs=1", "epochs=1, weight_decay=0.1"))
    assert main(["mine.py"]) == 2
    assert "weight_decay=None, not 0.1" in capsys.readouterr().err


def test_mixed_precision_uses_the_weights_of_each_update():
    layer, ones = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with mixed_precision(True):
        assert layer(ones).dtype == torch.bfloat16
        layer.weight.data.fill_(3.0)
        layer.bias.data.zero_()
        assert layer(ones).tolist() == [[6.0, 6.0]]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """One crowd counter, trained shortly from a pretrained one, in the six rows of fine-tuning."""
    from normreg_plugins.cli.data import make_mini_data, prepare_crowds

    raw, data = (str(tmp_path_factory.mktemp("crowd") / name) for name in ("raw", "data"))
    make_mini_data.main(["crowd", "--train", "6", "--val", "2", "--out", raw])
    prepare_crowds.qnrf(["--any-counts", raw, data, "--sides", "96", "128", "--val", "2"])
    weights = fill_norms_(CSRNet(width=0.25)).state_dict()
    torch.save({f"backbone.{name}": tensor for name, tensor in weights.items()}, Path(data) / "pretrained.pth")
    sets = [f"{split}_dataloader.dataset" for split in ("train", "val", "test")]
    base = {f"{each}.data_root": data for each in sets} | {f"{each}.type": "UCFQNRF" for each in sets}
    base |= {"model.backbone.width": 0.25, "model.init_cfg.checkpoint": f"{data}/pretrained.pth"}
    methods = rows(("backbone",), alpha=1.0, init="model.init_cfg")
    scores, config = {"MAE": "count/MAE"}, "configs/small/csrnet_vgg16bn_wd_shanghaitech.py"
    rate = {"rate": "optim_wrapper.optimizer.lr", "rates": (1e-3,)}
    return Comparison("crowd", "t", "mm", methods, scores, base, config=config, bfloat16=True, **rate)


@pytest.mark.mm
@pytest.mark.slow
@pytest.mark.parametrize("method", ["wrs", "pgd"])
def test_an_mm_config_is_trained_and_tested(crowd, tmp_path, method):
    found = train_cell(crowd, Cell(method, "", 1e-3, 3), tmp_path / "cell")
    assert found.validation > 0
    assert {"count/MAE", "count/RMSE", "count/NAE"} <= set(found.test)
    assert "mmengine" in " ".join(found.stack)


@pytest.mark.mm
@pytest.mark.slow
def test_centring_changes_the_pretrained_network_and_the_other_methods_do_not(crowd, tmp_path):
    plain = pretrained_part(loaded_runner(crowd, "wd", tmp_path / "plain").model)
    found = {method: changes(crowd, method, plain, tmp_path) for method in crowd.methods}
    assert min(found.pop("aws")) > 0.01
    assert all(max(each) < 1e-4 for each in found.values())
    assert found["wrs"][1] > 0, "it has acted"
