"""A comparison of methods: which cells are trained, by whom, and what its table says."""

import json
import math
import re
from pathlib import Path

import pytest

from research.cifar.training import training_of
from research.comparison.cells import Cell, Result, read_result, save_result, settings_of
from research.comparison.description import Comparison, ComparisonError, described, read_comparison
from research.comparison.page import content_of, markdown, read_content
from research.comparison.plan import cells_to_report, chosen_rate, wanted_cells
from research.comparison.scores import against_baseline, paired
from research.comparison.train_cell import config_of
from research.comparison.work import results_so_far, work

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


def result(validation, test=0.0):
    return Result(validation, {"accuracy": test}, 1.0, "2026-01-01", {"device": "CPU", "torch": "2.11.0"})


def scored(_, cell, __):
    """A training whose best rate is 0.1 for wd and 1 for wrs. Tests would choose another rate."""
    best = {"wd": 0.1, "wrs": 1.0}[cell.method]
    return result(80.0 if cell.rate == best else 70.0, 60.0 + cell.seed if cell.rate == best else 99.0)


def test_validation_chooses_the_rate_and_the_test_is_reported(tmp_path):
    trained = []

    def train(*args):
        trained.append(args[1])
        return scored(*args)

    assert work(TABLE, tmp_path, train) == []
    assert len(trained) == len(set(trained)) == 2 * (3 + 2), "three rates with seed 0, then two more seeds"
    found = results_so_far(TABLE, tmp_path)
    assert chosen_rate(TABLE, found, "", "wrs") == (1.0,)
    assert {seed: run.test["accuracy"] for seed, run in cells_to_report(TABLE, found, "", "wd").items()} == {
        0: 60.0,
        1: 61.0,
        2: 62.0,
    }
    assert "| wd | 61.0 ± 1.0 (rate 0.1) |" in markdown(TABLE, found, "command")


def test_a_lower_score_is_better_where_the_comparison_says_so():
    errors = Comparison(
        "t", "t", "cifar", {"wd": {}}, {"MAE": "mae"}, rate="rate", rates=(1.0, 2.0), higher_is_better=False
    )
    found = {Cell("wd", "", 1.0, 0): result(9.0), Cell("wd", "", 2.0, 0): result(7.0)}
    assert chosen_rate(errors, found, "", "wd") == (2.0,)
    found[Cell("wd", "", 2.0, 0)] = result(None)
    assert chosen_rate(errors, found, "", "wd") == (1.0,), "a training that broke down is the worst"


def test_nothing_is_chosen_before_all_rates_were_tried():
    found = {Cell("wd", "", rate, 0): result(50.0) for rate in (0.01, 0.1)}
    assert chosen_rate(TABLE, found, "", "wd") == ()
    assert {cell.seed for cell in wanted_cells(TABLE, found)} == {0}


def test_the_paired_test_is_that_of_a_hand_calculation():
    """Differences 1, 2, 3: mean 2, deviation 1, so t = 2 sqrt(3). With two degrees of freedom p is known in full."""
    test = paired([11.0, 22.0, 33.0], [10.0, 20.0, 30.0])
    t = 2 * math.sqrt(3)
    assert (test.pairs, test.difference) == (3, 2.0)
    assert test.t == pytest.approx(t)
    assert test.p == pytest.approx(1 - t / math.sqrt(2 + t**2))


def test_pairs_share_column_and_seed():
    table = Comparison("t", "t", "cifar", {"wd": {}, "wrs": {}}, {"a": "accuracy"}, columns={"x": {}, "y": {}})
    found = {Cell("wd", column, None, seed): result(0, seed) for column in "xy" for seed in (0, 1)}
    found |= {Cell("wrs", "x", None, 0): result(0, 5.0), Cell("wrs", "y", None, 1): result(0, 7.0)}
    found |= {Cell("wrs", "y", None, 2): result(0, 100.0)}
    assert against_baseline(table, found, "wrs") == paired([5.0, 7.0], [0.0, 1.0])


def test_what_was_not_run_says_so():
    found = {Cell("wd", "", rate, 0): result(50.0, 40.0) for rate in TABLE.rates}
    text = markdown(TABLE, found, "command")
    assert "| wd | 40.0, 1 of 3 seeds (rate 0.01) |" in text
    assert "| wrs | not run |" in text
    assert "| wrs | not run | 0 |  |  |" in text


def test_a_training_that_broke_down_is_counted():
    table = Comparison("t", "t", "cifar", {"wd": {}}, {"a": "accuracy"})
    found = {Cell("wd", "", None, seed): result(None, None if seed else 50.0) for seed in table.seeds}
    assert "| wd | 50.0, 2 of 3 failed |" in markdown(table, found, "command")


def test_the_json_holds_the_whole_table(tmp_path):
    found = {Cell("wd", "", rate, 0): result(50.0, 40.0) for rate in TABLE.rates}
    path = tmp_path / "table.json"
    path.write_text(json.dumps(content_of(TABLE, found, "command")))
    assert markdown(*read_content(path)) == markdown(TABLE, found, "command")


def test_an_unfair_choice_of_rates_is_refused():
    with pytest.raises(ComparisonError, match="equally many rates, not wd: 3, wrs: 1"):
        Comparison(
            "t", "t", "cifar", TABLE.methods, TABLE.scores, rate="rate", rates=TABLE.rates, rates_of={"wrs": (1.0,)}
        )


def test_results_of_other_settings_are_refused(tmp_path):
    cell = Cell("wd", "", 0.1, 0)
    (tmp_path / cell.folder).mkdir()
    save_result(TABLE, tmp_path, cell, result(50.0))
    assert read_result(TABLE, tmp_path, cell) == result(50.0)
    with pytest.raises(ComparisonError, match="epochs=None, and now 5 is wanted"):
        read_result(TABLE.with_settings({"epochs": 5}), tmp_path, cell)


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
    folders = [cell.folder for cell in wanted_cells(comparison, {})]
    assert len(folders) == len(set(folders))
    if comparison.kind == "mm":
        assert all(config_of(comparison, method).is_file() for method in comparison.methods)
    else:
        columns, methods = comparison.columns, comparison.methods
        assert all(training_of(settings_of(comparison, Cell(m, c, None, 0))) for m in methods for c in columns)


def test_the_description_on_the_page_is_one(tmp_path):
    page = (ROOT / "docs" / "results" / "index.md").read_text()
    (code,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.py").write_text(code)
    comparison = read_comparison(tmp_path / "mine.py")
    tried = {cell.rate for cell in wanted_cells(comparison, {})}
    assert tried == {0.001, 0.003, 0.01}
    cell = Cell("wrs own norms", "", 0.003, 0)
    assert settings_of(comparison, cell)["optim_wrapper.optimizer.lr"] == 0.003
    assert config_of(comparison, "wrs own norms") == ROOT / "configs" / "my_yolov3_wrs.py"
    assert config_of(comparison, "wd") == ROOT / "configs" / "my_yolov3_wd.py"


def test_an_unknown_name_and_an_unknown_setting_are_refused(tmp_path):
    with pytest.raises(ComparisonError, match=r"no comparison 'cifra': configs/comparisons has .*cifar_finetune"):
        read_comparison("cifra")
    (tmp_path / "mine.py").write_text(
        "title = 't'\nkind = 'cifar'\nmethods = {'wd': {}}\nscores = {'a': 'a'}\nrate_s = 1\n"
    )
    with pytest.raises(ComparisonError, match="'rate_s' is unknown"):
        read_comparison(tmp_path / "mine.py")
