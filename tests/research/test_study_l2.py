"""The experiments with the L2 paper's laws at a tiny length: they run, and slopes are slopes."""

import json

import pytest

from research import study_l2
from research.filters.effective_rates import LAWS
from research.studies import l2_best_rates, l2_equilibrium


def test_it_prints_draws_and_saves_every_part(tmp_path, capsys):
    arguments = ["--seeds", "1", "--length", "0.008", "--workers", "1", "--out", str(tmp_path)]
    assert study_l2.main(arguments) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("p by Table 1", "nesterov", "adamw", "c by the law"))
    numbers = json.loads((tmp_path / "study_l2.json").read_text())
    assert numbers["equilibrium"]["summary"]["adam"]["law"] == pytest.approx(1 / 3)
    assert (tmp_path / "study_l2.png").read_bytes().startswith(b"\x89PNG")


def test_settings_of_an_optimizer_share_its_effective_rate():
    for name in LAWS.keys() & {run.optimizer for run in l2_equilibrium.runs(1, 1)}:
        a, b = LAWS[name].equilibrium_exponents()
        rates = {round(r.rate**a * r.decay**b, 9) for r in l2_equilibrium.runs(1, 1) if r.optimizer == name}
        assert len(rates) == 1


def test_norms_made_from_the_laws_give_back_their_exponents():
    results = {
        run: l2_equilibrium.Outcome((run.rate / run.decay) ** LAWS[run.optimizer].norm_exponent)
        for run in l2_equilibrium.runs(2, 1)
    }
    for name, found in l2_equilibrium.exponents(results).items():
        assert found["measured"] == pytest.approx([LAWS[name].norm_exponent] * 2)


@pytest.mark.parametrize(("optimizer", "power"), [("sgd", 1.0), ("adam", 0.5)])
def test_losses_made_from_the_law_give_back_its_exponent(optimizer, power):
    """A parabola over log rate whose least point goes with lambda^-power, in the middle of the grid."""
    middle = l2_best_rates.RATES[optimizer][3] * l2_best_rates.DECAYS[optimizer][1] ** power
    results = {}
    for run in l2_best_rates.runs(2, 1):
        distance = l2_best_rates.np.log(run.rate * run.decay**power / middle)
        results[run] = l2_best_rates.Outcome(float(distance**2))
    found = l2_best_rates.best(results, optimizer)
    assert found.exponent == pytest.approx(-power, abs=1e-6)
    assert l2_best_rates.best({run: l2_best_rates.Outcome(run.rate) for run in results}, optimizer) is None


@pytest.mark.slow
def test_the_norm_rests_where_table_1_says():
    runs = [run for run in l2_equilibrium.runs(1, 300) if run.optimizer == "sgd"]
    (slope,) = l2_equilibrium.slopes({run: l2_equilibrium.train(run) for run in runs}, "sgd")
    assert slope == pytest.approx(0.25, abs=0.03)
