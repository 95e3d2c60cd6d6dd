"""Pictures of runs and models: what is in them."""

import json
import math

import pytest

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.monitor import plot_layers, plot_runs
from normreg_plugins.plots import thinned


def run_file(path, law="eta_over_squared_norm", layers=3):
    lines = []
    for step in range(30, 330, 30):
        norm = 1 + step / 100
        names = [f"{i}.weight" for i in range(layers)]
        line = {"step": step, "rate_law": law, "loss": 1 / step, "coco/bbox_mAP": step / 300}
        line |= {"norms/mean": norm, "norms/min": norm / 2, "norms/max": norm * 2, "norms/rotation_degrees": 1 / norm}
        line |= {"norms/eta_over_norm": 0.1 / norm, "norms/eta_over_squared_norm": 0.1 / norm**2}
        line["layers"] = {"name": names, "filter_norm": [norm + i for i in range(layers)]}
        lines.append(json.dumps(line) + "\n")
    path.write_text("".join(lines))
    return path


def test_several_runs_with_their_layers(tmp_path):
    runs = {
        "one": run_file(tmp_path / "a.jsonl"),
        "two": run_file(tmp_path / "b.jsonl", law="eta_over_norm", layers=12),
    }
    picture = tmp_path / "runs.svg"
    plot_runs(runs, picture)
    text = picture.read_text()
    assert len(text) < 250_000
    plot_runs(runs, picture)
    assert picture.read_text() == text  # the same data give the same file
    for words in ("one", "two", "loss", "coco/bbox_mAP", "effective rate of SGD", "filter norm of each layer"):
        assert words in text


def test_one_law_makes_one_rate_panel(tmp_path):
    plot_runs([run_file(tmp_path / "a.jsonl", law="eta_over_norm")], tmp_path / "runs.svg")
    text = (tmp_path / "runs.svg").read_text()
    assert "adaptive optimizers" in text
    assert "rate of SGD" not in text


def test_layers_of_a_chosen_quantity(tmp_path):
    run = run_file(tmp_path / "a.jsonl")
    plot_layers([run], tmp_path / "layers.svg")
    assert "filter norm of each layer" in (tmp_path / "layers.svg").read_text()
    with pytest.raises(NormRegError, match=r"rotation.*there is: filter_norm"):
        plot_layers([run], tmp_path / "layers.svg", "rotation")


@pytest.mark.parametrize(("name", "runs"), [("a.jpg", 1), ("a.png", 0)])
def test_what_cannot_be_drawn_is_said(tmp_path, name, runs):
    with pytest.raises(ValueError, match=r"\.png or \.svg|no run"):
        plot_runs([run_file(tmp_path / "a.jsonl")][:runs], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_thinning_keeps_means():
    x, y = thinned(list(range(1000)), [math.sin(i / 50) for i in range(1000)], points=100)
    assert len(x) == 100
    assert sum(y) / 100 == pytest.approx(sum(math.sin(i / 50) for i in range(1000)) / 1000)
