"""`plot-norms` on the files of runs."""

import json

import pytest


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / name for name in ("wd", "wrs")]
    for folder in folders:
        folder.mkdir()
        with (folder / "norms.jsonl").open("w") as file:
            for step in range(1, 6):
                rates = {"rate_law": "eta_over_norm", "norms/mean": step, "norms/eta_over_norm": 0.1 / step}
                layers = {"name": ["a", "b"], "filter_norm": [step, 2 * step], "rotation_degrees": [0.1, 0.2]}
                scores = {"loss": 1 / step, "mIoU": step / 5, "boat accuracy": 0.5}
                file.write(json.dumps({"step": step, **rates, **scores, "layers": layers}) + "\n")
    return folders


def test_runs_on_common_axes(tool, runs, tmp_path):
    picture = tmp_path / "norms.svg"
    done = tool("plot_norms.py", *runs, "--out", picture)
    assert (done.returncode, done.stdout) == (0, f"picture: {picture}\n")
    text = picture.read_text()
    words = ("wd", "wrs", "adaptive optimizers", "mIoU", "loss", "filter norm of each layer")
    assert all(word in text for word in words)
    assert "boat" not in text
    assert tool("plot_norms.py", *runs, "--out", picture, "--score", "boat accuracy", "mIoU").returncode == 0
    assert all(word in picture.read_text() for word in ("boat", "mIoU"))


def test_heat_maps_alone(tool, runs, tmp_path):
    picture = tmp_path / "layers.png"
    assert tool("plot_norms.py", runs[0], "--layers", "rotation_degrees", "--out", picture).returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--out", "norms.jpg"), ".png or .svg"),
        (("--layers", "gradient_norm"), "not logged per layer"),
        (("--names", "one"), "need 2 names"),
        (("--score", "mIoU", "mAP"), "no run has logged mAP"),
    ],
)
def test_what_cannot_be_drawn_is_said(tool, runs, tmp_path, monkeypatch, extra, words):
    monkeypatch.chdir(tmp_path)
    done = tool("plot_norms.py", *runs, *extra)
    assert done.returncode == 2
    assert words in done.stderr
    assert not list(tmp_path.glob("norms.*"))
