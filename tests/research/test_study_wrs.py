"""The experiments with the WRS paper's claims at a tiny length."""

import json

import pytest

from research import study_wrs
from research.studies import wrs_phases, wrs_shapes


def test_it_prints_draws_and_saves_every_part(tmp_path, capsys):
    arguments = ["--seeds", "1", "--length", "0.05", "--workers", "1", "--out", str(tmp_path)]
    assert study_wrs.main(arguments) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("never", "early", "late", "always", "in input space", "11.weight"))
    numbers = json.loads((tmp_path / "study_wrs.json").read_text())
    assert len(numbers["phases"]["runs"]) == 8
    assert (tmp_path / "study_wrs.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("phase", "held"), [("never", False), ("late", True), ("always", True)])
def test_a_phase_of_wrs_is_where_it_says(phase, held):
    found = wrs_phases.train(wrs_phases.Run("WRS", phase, seed=0, updates=40))
    assert (found.norm == pytest.approx(1, abs=1e-5)) is held


def test_weight_decay_shortens_filters_in_its_phase_only():
    norms = {p: wrs_phases.train(wrs_phases.Run("WD", p, seed=0, updates=100)).norm for p in wrs_phases.PHASES}
    assert norms["always"] < norms["early"] < norms["never"]
    assert norms["always"] < norms["late"] < norms["never"]


def test_every_layer_has_both_shapes():
    found = wrs_shapes.train(wrs_shapes.Run("WRS", seed=0, updates=3))
    assert len(found.layers) == len(found.weights) == len(found.in_input_space) == 4
    assert found.weights != found.in_input_space
