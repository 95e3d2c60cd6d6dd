"""The two commands that read the logs of runs."""

import json

import pytest

pytest.importorskip("matplotlib")


@pytest.fixture
def runs(tmp_path):
    for name, norm in (("wd", 40.0), ("wrs", 20.0)):
        folder = tmp_path / name / "20260101_000000" / "vis_data"
        folder.mkdir(parents=True)
        rows = [{"grad_norm": norm + i, "step": i} for i in range(20)]
        rows += [{f"detection/{s}": 0.5, "step": e} for e in (1, 2) for s in ("f1", "precision", "recall")]
        (folder / "scalars.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_figure_9_is_drawn_of_several_runs(tool, runs):
    done = tool("research/plot_training.py", f"wd={runs / 'wd'}", f"wrs={runs / 'wrs'}", "--out", runs / "fig9.png")
    assert (done.returncode, done.stdout) == (0, f"wrote {runs / 'fig9.png'}\n")
    assert (runs / "fig9.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["wd"], "write NAME=WORK_DIR"),
        (["a=wd", "a=wrs"], "two runs have one name"),
        (["a=wd", "--scores", "mIoU"], "has logged no mIoU"),
        (["a=gone"], "no work dir of a run"),
    ],
)
def test_what_cannot_be_drawn_is_said(tool, runs, monkeypatch, arguments, words):
    monkeypatch.chdir(runs)
    done = tool("research/plot_training.py", *arguments, "--out", runs / "p.png")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (runs / "p.png").exists()


def test_clipped_updates_are_counted(tool, runs):
    done = tool("research/clipped_updates.py", runs / "wd", runs / "wrs")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert "wd: 20 of 20 logged updates clipped at 35; norms 40 to 59, median 49.5" in first
    assert "wrs: 4 of 20 logged" in second
