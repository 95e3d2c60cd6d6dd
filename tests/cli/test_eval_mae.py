"""`eval-mae` on drawn crowds: its errors, and predictions of other images."""

import json

import numpy as np
import pytest
from helpers.layouts import qnrf

from normreg_plugins.evaluation import counting
from normreg_plugins.evaluation.counting import save_counts, save_map


@pytest.fixture
def annotated(tool, tmp_path):
    """A prepared set, and predictions for its test split: true counts plus 2, all in one cell."""
    qnrf(tmp_path / "raw")
    tool("data/prepare_qnrf.py", "--any-counts", tmp_path / "raw", tmp_path / "data", "--val", 2, "--sides", 64, 128)
    records = json.loads((tmp_path / "data/test.json").read_text())["images"]
    for record in records:
        density = np.zeros((-(-record["height"] // 8), -(-record["width"] // 8)), dtype=np.float32)
        density[0, 0] = record["count"] + 2
        save_map(tmp_path / "predictions", record["name"], density)
    save_counts(tmp_path / "predictions", {r["name"]: r["count"] + 2 for r in records})
    return tmp_path, records


def test_eval_mae_prints_all_errors(tool, annotated):
    folder, records = annotated
    low, high = sorted(record["count"] for record in records)
    data = folder / "data"
    arguments = ("--bands", (low + high) / 2, "--baseline", data / "train.json")
    done = tool("eval_mae.py", folder / "predictions", data / "test.json", *arguments)
    assert done.returncode == 0, done.stderr
    nae = (2 / low + 2 / high) / 2
    assert f"all, 2 images: MAE 2.00, RMSE ('MSE') 2.00, NAE {nae:.4f}, bias +2.00" in done.stdout
    assert done.stdout.count(", 1 images: MAE 2.00") == 2
    train = [record["count"] for record in json.loads((data / "train.json").read_text())["images"]]
    baseline = np.abs(np.array([low, high]) - np.mean(train)).mean()
    assert f"always {np.mean(train):.1f}: MAE {baseline:.2f}" in done.stdout


@pytest.mark.parametrize(("flags", "number", "drawn"), [((), 1, ["far"]), (("--best",), 2, ["near", "far"])])
def test_eval_mae_draws_the_worst_or_the_best(flags, number, drawn, tool, annotated, monkeypatch):
    folder, records = annotated
    names = {"near": records[0]["name"], "far": records[1]["name"]}
    errors = {"near": records[0]["count"] + 1, "far": records[1]["count"] - 50}
    save_counts(folder / "predictions", {names[each]: count for each, count in errors.items()})
    images = []
    monkeypatch.setattr(counting, "plot_counted_images", lambda rows, _: images.extend(row.name for row in rows))
    where = (folder / "predictions", folder / "data/test.json", "--out", folder / "eval")
    done = tool("eval_mae.py", *where, "--pictures", number, *flags)
    assert done.returncode == 0, done.stderr
    assert images == [names[each] for each in drawn]
    found = json.loads((folder / "eval" / "counting_metrics.json").read_text())
    assert found["all"]["mae"] == np.mean([1, 50])


def test_eval_mae_wants_the_same_images(tool, annotated):
    folder, records = annotated
    index, counts = folder / "data/test.json", {record["name"]: 1.0 for record in records}
    for other in ({**counts, "stranger": 1.0}, dict([*counts.items()][1:])):
        save_counts(folder / "predictions", other)
        (name,) = other.keys() ^ counts.keys()
        said = f"1 images are only in the predictions or only in the index, e.g. {name}"
        assert said in tool("eval_mae.py", folder / "predictions", index).stderr
    for missing in ((folder / "nothing", index), (folder / "predictions", folder / "nothing")):
        done = tool("eval_mae.py", *missing)
        assert (done.returncode, "nothing" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
