"""The experiments with AWS at a tiny length: they run, and what they rest on is true."""

import json
import math
from dataclasses import replace

import pytest
import torch

from normreg_plugins.layers import WSConv2d
from research import study_aws
from research.studies import aws_beginnings, aws_dead_filter, aws_equilibrium, aws_overflow
from research.studies.common import side_by_side
from research.studies.nets import TextbookWS


def test_it_prints_draws_and_saves_every_part(tmp_path, capsys):
    assert study_aws.main(["--seeds", "1", "--length", "0.005", "--workers", "1", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    for words in ("AWS, strength varied", "WD 0.001", "our WSConv2d", "rate 0.001", "study_aws.png", "study_aws.json"):
        assert words in told
    numbers = json.loads((tmp_path / "study_aws.json").read_text())
    assert set(numbers) == {"equilibrium", "beginnings", "overflow", "dead_filter"}
    assert len(numbers["equilibrium"]["runs"]) == 18
    assert (tmp_path / "study_aws.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["equilibrum"], "there is no part equilibrum"),
        (["--seeds", "0"], "--seeds 0: must be above 0"),
        (["--length", "-1"], "--length -1.0: must be above 0"),
    ],
)
def test_bad_settings_are_refused(capsys, args, words):
    with pytest.raises(SystemExit):
        study_aws.main(args)
    assert words in capsys.readouterr().err


def test_the_norm_rests_where_the_equation_says():
    for method, strength in (("AWS", 3.0), ("WD", 0.3)):
        run = aws_equilibrium.Run(method, aws_equilibrium.AT_STRENGTH, rate=0.3, strength=strength, seed=0, updates=200)
        found = aws_equilibrium.train(run)
        assert found.norm == pytest.approx(found.predicted, rel=0.05)


def test_exponents_are_slopes_on_logarithmic_axes():
    """Norms made from the law itself give back its exponents."""
    results = {}
    for run in aws_equilibrium.runs(seeds=2, updates=1):
        pull = 0.01 * run.rate  # a gradient that changes with the rate, as real ones do
        norm = (run.rate * pull / run.strength) ** aws_equilibrium.EXPONENTS[run.method]
        results[run] = aws_equilibrium.Outcome(norm, pull, norm)
    found = aws_equilibrium.exponents(results)
    assert found["AWS, strength varied"]["exponent"] == pytest.approx([0.2, 0.2])
    assert found["AWS, rate varied"]["exponent"] == pytest.approx([0.4, 0.4])
    assert found["AWS, rate varied"]["exponent_with_G"] == pytest.approx([0.2, 0.2])
    assert found["WD, rate varied"]["exponent_with_G"] == pytest.approx([0.25, 0.25])
    assert found["WD, strength varied"]["norm_over_predicted"] == pytest.approx([1.0] * 10)


def test_aws_shrinks_a_larger_beginning_faster_than_weight_decay():
    norms = {
        method: aws_beginnings.train(aws_beginnings.Run(method, strength, 100, seed=0, updates=100)).norm
        for method, strength in (("WD", 1e-3), ("AWS", 1e-1))
    }
    assert norms["AWS"] < 0.2 * norms["WD"]


def test_eq_25_as_written_is_our_layer_where_nothing_is_small():
    torch.manual_seed(0)
    ours, theirs = WSConv2d(3, 5, 3, bias=False), TextbookWS(3, 5, 3, bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_dead_filter_leaves_float32_under_eq_25_and_not_under_our_layer():
    x = torch.randn(2, 1, 5, 5)
    for layer, finite in ((TextbookWS(1, 2, 3), False), (WSConv2d(1, 2, 3), True)):
        with torch.no_grad():
            layer.weight[0] = 0
        assert bool(layer(x).isfinite().all()) is finite


def test_a_failed_run_is_told_and_saved_as_one():
    failed = aws_overflow.Outcome(7, None, 0.0, 1e30)
    alive = aws_overflow.Outcome(None, 90.0, 0.5, 1.0)
    assert aws_overflow.cell([failed, alive, failed]) == "2 of 3 fail, from 7 on"
    assert aws_overflow.cell([alive]) == "90.0  (5e-01)"


def test_workers_give_what_one_process_gives():
    runs = aws_beginnings.runs(seeds=1, updates=2)[:2]
    assert side_by_side(aws_beginnings.train, runs, 2, "two") == side_by_side(aws_beginnings.train, runs, 1, "one")


def test_a_filter_without_a_gradient_leaves_float32_when_arithmetic_says():
    """Under SGD with momentum it is about 1 - rate decay / (1 - momentum) times as long after each update."""
    run = aws_dead_filter.Run("SGD, rate 0.1", 1e-2, seed=0, updates=12_000)
    found = aws_dead_filter.train(run)
    underflow = 0.5 * math.log(2.0**-149)  # of the square of an entry
    expected = (underflow - math.log(576**-0.5)) / math.log(1 - 0.1 * 1e-2 / (1 - 0.9))
    assert found.failed_by == pytest.approx(expected, rel=0.2)
    assert aws_dead_filter.train(replace(run, decay=1e-4)).failed_by is None
