"""Scores of several runs over training: read from mm's logs, drawn on one axis."""

import json

import pytest

from normreg_plugins.evaluation import PredictionsError, logged_scores, plot_training
from normreg_plugins.files import DamagedFileError


def log(folder, rows, cut_off=""):
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "scalars.json").write_text(text + cut_off)


def epochs(first, *scores):
    rows = [{"loss": 3.0, "grad_norm": 50.0, "epoch": first, "iter": 7, "step": 7}]
    return rows + [{"detection/f1": f1, "step": step} for step, f1 in enumerate(scores, start=first)]


def test_a_resumed_run_is_one_line_and_the_later_log_wins(tmp_path):
    log(tmp_path / "20260101_000000/vis_data", epochs(1, 0.1, 0.2, 0.9), cut_off='{"detection/f1": 0.')
    log(tmp_path / "20260102_000000/vis_data", epochs(3, 0.3, 0.4))
    assert logged_scores(tmp_path, ["detection/f1"]) == {"detection/f1": ([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4])}
    file = tmp_path / "20260102_000000/vis_data/scalars.json"
    assert logged_scores(file, ["detection/f1"]) == {"detection/f1": ([3, 4], [0.3, 0.4])}


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(PredictionsError, match="no work dir of a run"):
        logged_scores(tmp_path, ["detection/f1"])
    log(tmp_path / "20260101_000000/vis_data", epochs(1, 0.1))
    with pytest.raises(PredictionsError, match="has logged no detection/recall"):
        logged_scores(tmp_path, ["detection/f1", "detection/recall"])
    log(tmp_path / "20260102_000000/vis_data", [], cut_off="torn\n")
    with pytest.raises(DamagedFileError, match=r"scalars\.json, line 1: no valid JSON"):
        logged_scores(tmp_path, ["detection/f1"])


def test_runs_are_drawn_on_one_axis(tmp_path, monkeypatch):
    figures = pytest.importorskip("matplotlib.figure")
    drawn = []
    savefig = figures.Figure.savefig
    monkeypatch.setattr(figures.Figure, "savefig", lambda f, *args, **kw: (drawn.append(f), savefig(f, *args, **kw)))
    runs = {"wd": {"detection/f1": ([1, 2], [0.1, 0.2])}, "wrs": {"detection/f1": ([1, 2, 3], [0.3, 0.4, 0.5])}}
    plot_training(runs, {"detection/f1": "F1"}, tmp_path / "p.png")
    (axes,) = drawn[0].axes
    assert axes.get_title() == "F1"
    assert [(line.get_label(), line.get_ydata().tolist()) for line in axes.lines] == [
        ("wd", [0.1, 0.2]),
        ("wrs", [0.3, 0.4, 0.5]),
    ]
