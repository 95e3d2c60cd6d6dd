"""tools/plot_norms.py on the files of runs."""

import json

import pytest

from normreg_plugins.cli import plot_norms


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / name for name in ("wd", "wrs")]
    for folder in folders:
        folder.mkdir()
        lines = []
        for step in range(1, 6):
            layers = {"name": ["a.weight", "b.weight"], "filter_norm": [step, 2 * step], "rotation_degrees": [0.1, 0.2]}
            line = {"step": step, "rate_law": "eta_over_norm", "norms/mean": step, "loss": 1 / step, "mIoU": step / 5}
            lines.append(json.dumps({**line, "norms/eta_over_norm": 0.1 / step, "layers": layers}) + "\n")
        (folder / "norms.jsonl").write_text("".join(lines))
    return folders


def test_runs_on_common_axes(runs, tmp_path, capsys):
    picture = tmp_path / "norms.svg"
    assert plot_norms.main([*map(str, runs), "--out", str(picture)]) == 0
    assert f"picture: {picture}" in capsys.readouterr().out
    text = picture.read_text()
    assert all(
        word in text for word in ("wd", "wrs", "adaptive optimizers", "mIoU", "loss", "filter norm of each layer")
    )


def test_heat_maps_alone(runs, tmp_path):
    picture = tmp_path / "layers.png"
    assert plot_norms.main([str(runs[0]), "--layers", "rotation_degrees", "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--out", "norms.jpg"), ".png or .svg"),
        (("--layers", "gradient_norm"), "not logged per layer"),
        (("--names", "one"), "need 2 names"),
    ],
)
def test_what_cannot_be_drawn_is_said(runs, tmp_path, capsys, monkeypatch, extra, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        plot_norms.main([*map(str, runs), *extra])
    assert words in f"{refused.value.code} {capsys.readouterr().err}"
    assert not list(tmp_path.glob("norms.*"))


def test_a_folder_without_a_run(tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        plot_norms.main([str(tmp_path)])
    assert "no run" in f"{refused.value.code} {capsys.readouterr().err}"
