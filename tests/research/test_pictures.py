"""The pictures of the README come from a command, and show what training does."""

from pathlib import Path

import pytest

from research import draw_front_page as tool

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def test_wrs_holds_the_norm_and_without_decay_it_grows() -> None:
    (grown, _), (held, right) = (tool.train(decay, tau, updates=200) for decay, tau in ((0.0, None), (tool.DECAY, 1)))
    norms = [report.overall.filter_norm for report in grown]
    assert norms[-1] > 1.5 * norms[0]
    assert [report.overall.filter_norm for report in held] == pytest.approx([1.0] * len(held), abs=1e-5)
    rates = [report.overall.eta_over_squared_norm for report in held]
    assert rates[0] == pytest.approx(10 * rates[-1], rel=1e-3)  # the schedule's drop, and nothing else
    assert right > 50


def test_it_draws_both_pictures_small_enough_for_a_page(tmp_path, capsys) -> None:
    assert tool.main(["--updates", "20", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"picture: {tmp_path / name}.svg" for name in ("idea", "courses")]
    for name in ("idea.svg", "courses.svg"):
        drawn = (tmp_path / name).read_text()
        assert drawn.startswith("<?xml")
        assert all(run in drawn for run in tool.RUNS) == (name == "courses.svg")


def test_the_pictures_of_the_repository_are_of_this_command() -> None:
    kept = (PICTURES / "courses.svg").read_text()
    assert all(run in kept for run in tool.RUNS)
    assert all(path.stat().st_size < 150_000 for path in PICTURES.iterdir())


def test_too_few_updates_are_refused(run_tool) -> None:
    done = run_tool("research/draw_front_page.py", "--updates", 1)
    assert done.returncode == 2
    assert "--updates 1: must be 10 or more" in done.stderr
