"""The studies at a tiny length: they run, and what they rest on is true."""

import importlib
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from normreg_plugins import SphereDescent, attach
from normreg_plugins.layers import ScaleBias, WSConv2d
from research.digits import digits
from research.nets import TextbookWS, centre_alone, filter_norms
from research.tables.aws import beginnings, dead_filter, equilibrium, overflow
from research.tables.l2 import best_rates
from research.tables.l2 import equilibrium as l2_equilibrium
from research.tables.l2.laws import LAWS
from research.tables.pgd import constraints, explosion
from research.tables.pgd.points import EdgeConv, PointNet
from research.tables.pgd.solids import SOLIDS, clouds
from research.tables.study import Results, Run, axis, cross_table, grid, mean_and_error, side_by_side
from research.tables.wrs import phases, strengths


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("paper", "length", "runs"),
    [
        ("aws", 0.005, {"equilibrium": 18, "beginnings": 9, "overflow": 20, "dead_filter": 8}),
        ("l2", 0.008, {"equilibrium": 18, "best_rates": 42}),
        ("pgd", 0.01, {"ablation": 9, "batches": 12, "explosion": 10, "points": 8}),
        ("wrs", 0.05, {"strengths": 8, "phases": 8, "shapes": 3}),
    ],
)
def test_a_paper_prints_draws_and_saves_every_study(paper, length, runs, tmp_path, capsys):
    main = importlib.import_module(f"research.tables.{paper}.__main__").main
    assert main(["--seeds", "1", "--length", str(length), "--workers", "1", "--out", str(tmp_path)]) == 0
    assert f"{paper}.png" in capsys.readouterr().out
    numbers = json.loads((tmp_path / f"{paper}.json").read_text())
    assert {name: len(part["runs"]) for name, part in numbers.items()} == runs
    assert (tmp_path / f"{paper}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["equilibrum"], "unknown study equilibrum"),
        (["--seeds", "0"], "--seeds 0: must be above 0"),
        (["--length", "-1"], "--length -1.0: must be above 0"),
    ],
)
def test_bad_settings_are_refused(capsys, args, words):
    with pytest.raises(SystemExit):
        importlib.import_module("research.tables.l2.__main__").main(args)
    assert words in capsys.readouterr().err


def test_a_grid_and_its_table_come_from_the_same_axes():
    rows, columns = axis("method", ("WD", "WRS")), axis("phase", ("early", "late"), "{} phase")
    runs = grid(phases.Run, rows, columns)(2, 5)
    assert len(set(runs)) == len(runs) == 8
    results = Results({run: phases.Outcome(float(i), 1.0) for i, run in enumerate(runs)})
    table = cross_table("title", results, rows, columns)
    assert [column.header for column in table.columns] == ["", "early phase", "late phase"]
    assert list(table.columns[2].cells) == ["2.5 ± 0.7", "6.5 ± 0.7"]
    assert results.where(method="WRS", seed=1).each("accuracy") == [5.0, 7.0]
    assert results.powers(lambda run, _: {"early": 1.0, "late": 4.0}[run.phase], lambda _: 3.0) == pytest.approx([0, 0])
    assert mean_and_error([97.96]) == "98.0"


def test_workers_give_what_one_process_gives():
    runs = beginnings.STUDY.runs(1, 2)[:2]
    assert side_by_side(beginnings.train, runs, 2, "two") == side_by_side(beginnings.train, runs, 1, "one")


def test_learned_and_tested_digits_are_different_ones():
    images, labels, test_images, test_labels = digits(seed=3)
    assert len(images) == len(labels) == 400
    assert len(test_images) == len(test_labels) == 1397
    assert torch.cdist(images.flatten(1), test_images.flatten(1)).min() > 0
    assert images.max() == 1


# WRS


def test_wrs_keeps_the_norms_at_one_and_weight_decay_moves_them():
    runs = [strengths.Run(decay=5e-4, tau=tau, seed=0, updates=40) for tau in (None, 1)]
    decay, wrs_run = (strengths.train(run) for run in runs)
    assert wrs_run.norms[0] == decay.norms[0] != 1
    assert wrs_run.norms[1:] == pytest.approx([1.0] * 5, abs=1e-5)
    assert all(abs(norm - 1) > 0.05 for norm in decay.norms)
    assert min(decay.accuracy, wrs_run.accuracy) > 80


@pytest.mark.parametrize(("phase", "unit"), [("never", False), ("late", True), ("always", True)])
def test_a_phase_of_wrs_is_where_it_says(phase, unit):
    found = phases.train(phases.Run(method="WRS", phase=phase, seed=0, updates=40))
    assert (found.norm == pytest.approx(1, abs=1e-5)) is unit


def test_weight_decay_shortens_filters_in_its_phase_only():
    norms = {p: phases.train(phases.Run(method="WD", phase=p, seed=0, updates=100)).norm for p in phases.PHASES}
    assert norms["always"] < norms["early"] < norms["never"]
    assert norms["always"] < norms["late"] < norms["never"]


# AWS


@pytest.mark.parametrize(("method", "strength"), [("AWS", 3.0), ("WD", 0.3)])
def test_the_norm_stays_where_the_equation_says(method, strength):
    run = equilibrium.Run(method=method, varied="strength", rate=0.3, strength=strength, seed=0, updates=200)
    found = equilibrium.train(run)
    assert found.norm == pytest.approx(found.predicted, rel=0.05)


def test_norms_made_from_the_aws_law_give_back_its_exponents():
    def outcome(run):
        norm = (2.0 * run.rate / run.strength) ** equilibrium.EXPONENTS[run.method]
        return equilibrium.Outcome(norm, 2.0, norm)

    results = Results({run: outcome(run) for run in equilibrium.STUDY.runs(2, 1)})
    for name, found in equilibrium.exponents(results).items():
        expected = [equilibrium.EXPONENTS[name.split(",")[0]]] * 2
        assert found["exponent"] == pytest.approx(expected)
        assert found["exponent_with_G"] == pytest.approx(expected)


def test_aws_shrinks_a_larger_beginning_faster_than_weight_decay():
    norms = [
        beginnings.train(beginnings.Run(method=method, strength=strength, scale=100, seed=0, updates=100)).norm
        for method, strength in (("WD", 1e-3), ("AWS", 1e-1))
    ]
    assert norms[1] < 0.2 * norms[0]


def test_eq_25_as_written_is_our_layer_where_nothing_is_small_and_a_dead_filter_leaves_float32_only_there():
    torch.manual_seed(0)
    ours, theirs = WSConv2d(3, 5, 3, bias=False), TextbookWS(3, 5, 3, bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))
    with torch.no_grad():
        ours.weight[0] = theirs.weight[0] = 0
    assert ours(x).isfinite().all()
    assert not theirs(x).isfinite().all()


def test_a_failed_run_is_shown_as_one():
    failed, alive = overflow.Outcome(7, None, 0.0, 1e30), overflow.Outcome(None, 90.0, 0.5, 1.0)
    runs = [Run(seed=seed, updates=9) for seed in range(3)]
    assert overflow.cell(Results(zip(runs, [failed, alive, failed]))) == "2 of 3 fail, from 7 on"
    assert overflow.cell(Results(zip(runs[:1], [alive]))) == "90.0  (5e-01)"


def test_a_filter_without_a_gradient_leaves_float32_when_arithmetic_says():
    """Under SGD with momentum it is about 1 - rate decay / (1 - momentum) times as long after each update."""
    run = dead_filter.Run(optimizer="SGD, rate 0.1", decay=1e-2, seed=0, updates=12_000)
    underflow = 0.5 * math.log(2.0**-149)  # of the square of an entry
    expected = (underflow - math.log(576**-0.5)) / math.log(1 - 0.1 * 1e-2 / (1 - 0.9))
    assert dead_filter.train(run).failed_by == pytest.approx(expected, rel=0.2)
    assert dead_filter.train(replace(run, decay=1e-4)).failed_by is None


# L2


def test_settings_of_an_optimizer_share_its_effective_rate():
    for name in l2_equilibrium.MIDDLES:
        a, b = LAWS[name].equilibrium_exponents()
        runs = [run for run in l2_equilibrium.STUDY.runs(1, 1) if run.optimizer == name]
        assert len(runs) == 3
        assert len({round(run.rate**a * run.decay**b, 9) for run in runs}) == 1


def test_norms_made_from_the_l2_laws_give_back_their_exponents():
    results = Results(
        {
            run: l2_equilibrium.Outcome((run.rate / run.decay) ** LAWS[run.optimizer].norm_exponent)
            for run in l2_equilibrium.STUDY.runs(2, 1)
        }
    )
    for name, found in l2_equilibrium.exponents(results).items():
        assert found["measured"] == pytest.approx([LAWS[name].norm_exponent] * 2)


@pytest.mark.parametrize(("optimizer", "power"), [("sgd", 1.0), ("adam", 0.5)])
def test_losses_made_from_the_law_give_back_its_exponent(optimizer, power):
    """A parabola over log rate whose least point goes with lambda^-power, in the middle of the grid."""
    middle = best_rates.RATES[optimizer][3] * best_rates.DECAYS[optimizer][1] ** power
    runs = best_rates.STUDY.runs(2, 1)
    results = Results({r: best_rates.Outcome(math.log(r.rate * r.decay**power / middle) ** 2) for r in runs})
    assert best_rates.best(results, optimizer).exponent == pytest.approx(-power, abs=1e-6)
    assert best_rates.best(Results({r: best_rates.Outcome(r.rate) for r in runs}), optimizer) is None


# PGD


def test_every_batch_size_sees_as_many_images():
    assert {run.batch * run.updates for run in constraints.BATCHES.runs(2, 5)} == {5 * constraints.BATCH}


@pytest.mark.parametrize("net", constraints.NETS)
@pytest.mark.parametrize("setting", [{"centre": True, "sphere": True}, {"batch_norm": True}], ids=["PGD", "batch norm"])
def test_a_net_learns_with_and_without_batch_norm(net, setting):
    assert constraints.train(constraints.Run(net=net, seed=0, updates=200, **setting)).accuracy > 60


@pytest.mark.parametrize("model", [constraints.cnn(ScaleBias), constraints.mlp(ScaleBias), PointNet(ScaleBias)])
def test_pgd_takes_every_layer_but_the_classifier(model):
    handle = attach(torch.optim.SGD(model.parameters(), lr=0.1), model, SphereDescent())
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    assert {*handle.targets} == {f"{name}.weight" for name in layers[:-1]}


def test_centring_alone_keeps_the_means_at_zero_and_the_norms_free():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 3, 3, 3))
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
    centre_alone(optimizer, [weight])
    before = filter_norms([weight]).clone()
    for _ in range(3):
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step()
    assert weight.detach().flatten(1).mean(1).abs().max() < 1e-5 * weight.detach().abs().max()
    assert not torch.allclose(filter_norms([weight]), before)


def test_the_gradient_of_a_reparametrized_filter_explodes_and_that_on_the_sphere_does_not():
    results = Results({run: explosion.train(run) for run in explosion.STUDY.runs(1, 2)})
    powers = [explosion.exponent(results.where(kind=kind)) for kind in (explosion.TEXTBOOK, explosion.PGD)]
    assert powers == [pytest.approx([-1], abs=0.01), pytest.approx([0], abs=1e-3)]


ON_SURFACE = {  # how far a point p with the distance p.r from the axis is from the surface
    "sphere": lambda p: (p.r.square() + p.z.square() - 1).abs(),
    "cube": lambda p: (torch.stack([p.x.abs(), p.y.abs(), p.z.abs()]).amax(0) - 1).abs(),
    "cylinder": lambda p: torch.minimum((p.r - 1).abs(), (p.z.abs() - 1).abs()) + (p.r - 1).clamp_min(0),
    "cone": lambda p: torch.minimum((p.r - (1 - p.z) / 2).abs(), (p.z + 1).abs()),
    "torus": lambda p: ((p.r - 1).square() + p.z.square() - 0.16).abs(),
    "pyramid": lambda p: torch.minimum(
        (torch.maximum(p.x.abs(), p.y.abs()) - (1 - p.z) / 2).abs(), torch.minimum((p.z + 1).abs(), (p.z - 1).abs())
    ),
}


def no_norm(_):
    return nn.Identity()


@pytest.mark.parametrize("name", SOLIDS)
def test_every_point_lies_on_the_surface(name):
    torch.manual_seed(0)
    x, y, z = SOLIDS[name](2000).unbind(1)
    off = ON_SURFACE[name](SimpleNamespace(x=x, y=y, z=z, r=(x.square() + y.square()).sqrt()))
    assert off.max() < 0.021  # the tip of the pyramid is that wide
    assert min(each.std() for each in (x, y, z)) > 0.2


def test_clouds_have_all_classes_and_the_unit_ball():
    torch.manual_seed(0)
    points, labels = clouds(12)
    assert points.shape == (12, 3, 128)
    assert labels.bincount().tolist() == [2] * len(SOLIDS)
    torch.testing.assert_close(points.norm(dim=1).amax(1), torch.ones(12))


def test_an_edge_convolution_is_the_largest_answer_over_the_nearest_points():
    """Against a loop over points and neighbours."""
    torch.manual_seed(0)
    layer, x = EdgeConv(3, 4, no_norm), torch.randn(2, 3, 12)
    weight = layer.conv.weight.detach().flatten(1)
    for cloud, found in zip(x, layer(x), strict=True):
        for i in range(12):
            nearest = (cloud - cloud[:, i : i + 1]).norm(dim=0).argsort()[1:9]
            edges = [weight @ torch.cat([cloud[:, i], cloud[:, j] - cloud[:, i]]) for j in nearest]
            expected = nn.functional.leaky_relu(torch.stack(edges), 0.2).amax(0)
            torch.testing.assert_close(found[:, i], expected)


def test_the_order_of_the_points_does_not_matter():
    net, (points, _) = PointNet(ScaleBias), clouds(6)
    torch.testing.assert_close(net(points[..., torch.randperm(128)]), net(points))
