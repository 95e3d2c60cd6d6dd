"""The studies at a tiny length: they run, and what they rest on is true."""

import itertools
import json
import math
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from normreg_plugins import SphereDescent, attach
from normreg_plugins.layers import WSConv2d
from research.compare.cells import Cell, Result
from research.compare.description import read_comparison
from research.compare.page import content_of
from research.digits import digits
from research.nets import conv_weights, digits_net, filter_norms
from research.tables.aws import dead_filter, equilibrium
from research.tables.l2 import best_rates
from research.tables.l2.laws import LAWS
from research.tables.study import mean_and_error, powers, run


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_command_trains_prints_its_table_and_saves_all_runs(tmp_path, capsys):
    settings = [{"optimizer": name, "decay": 1e-2} for name in dead_filter.OPTIMIZERS]
    command = ["--seeds", "2", "--length", "0.5", "--out", str(tmp_path)]
    assert run("doc", "dead", 20, settings, dead_filter.train, lambda rows: f"{len(rows)} rows", command) == 0
    assert "6 rows" in capsys.readouterr().out
    saved = json.loads((tmp_path / "dead.json").read_text())
    assert {row["seed"] for row in saved} == {0, 1}


def test_the_page_has_the_table_of_the_saved_runs():
    folder = Path(dead_filter.__file__).parent
    table = dead_filter.show(json.loads((folder / "dead_filter.json").read_text()))
    assert table.split("\n", 2)[2] in (folder / "README.md").read_text()


def test_a_power_is_the_slope_of_logarithms_for_each_seed():
    rows = [{"seed": seed, "x": x, "y": 3 * x**power} for seed, power in ((0, 0.5), (1, -1.0)) for x in (1.0, 4.0)]
    assert powers(rows, lambda row: row["x"], lambda row: row["y"]) == pytest.approx([0.5, -1.0])
    assert mean_and_error([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"


# AWS


@pytest.mark.parametrize(("method", "strength"), [("AWS", 3.0), ("WD", 0.3)])
def test_the_norm_stays_where_the_equation_says(method, strength):
    found = equilibrium.train(method, strength, seed=0, updates=200)
    assert found["norm"] == pytest.approx(found["predicted"], rel=0.05)


def test_eq_25_as_written_is_our_layer_where_nothing_is_small_and_a_dead_filter_leaves_float32_only_there():
    torch.manual_seed(0)
    ours, theirs = WSConv2d(3, 5, 3, bias=False), WSConv2d(3, 5, 3, bias=False, eps=0)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs.normalized_weight().flatten(1), dead_filter.standardized(ours.weight.flatten(1)))
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))
    with torch.no_grad():
        ours.weight[0] = theirs.weight[0] = 0
    assert ours(x).isfinite().all()
    assert not theirs(x).isfinite().all()


def test_a_filter_without_a_gradient_leaves_float32_when_arithmetic_says():
    """Under SGD with momentum it is about 1 - rate decay / (1 - momentum) times as long after each update."""
    underflow = 0.5 * math.log(2.0**-149)  # of the square of an entry
    expected = (underflow - math.log(576**-0.5)) / math.log(1 - 0.1 * 1e-2 / (1 - 0.9))
    run = partial(dead_filter.train, seed=0, updates=12_000)
    assert run("SGD, constant 0.1", 1e-2)["failed_by"] == pytest.approx(expected, rel=0.2)
    assert run("SGD, constant 0.1", 1e-4)["failed_by"] is None
    assert run("SGD from 0.1", 1e-2)["failed_by"] is None, "the rate drops in time"


# L2

ENTRIES, GRADIENT = 64, 1.2
OPTIMIZERS = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "rmsprop": partial(RMSprop, eps=1e-30),
    "adam": partial(Adam, betas=(0.9, 0.99), eps=1e-30),
    "adamw": partial(AdamW, betas=(0.9, 0.99), eps=1e-30),
}


def settled_norm(optimizer: str, eta: float, decay: float, updates: int = 2000) -> float:
    """The model of Section 4: gradients of random direction, orthogonal to w, with the norm GRADIENT / ||w||."""
    generator = torch.Generator().manual_seed(0)
    w = nn.Parameter(torch.randn(ENTRIES, generator=generator, dtype=torch.float64) / math.sqrt(ENTRIES))
    step = OPTIMIZERS[optimizer]([w], lr=eta, weight_decay=decay)
    norms = []
    for _ in range(updates):
        u = w.detach() / w.detach().norm()
        g = torch.randn(ENTRIES, generator=generator, dtype=torch.float64)
        g -= (g @ u) * u
        w.grad = GRADIENT * g / g.norm() / w.detach().norm()
        step.step()
        norms.append(float(w.detach().norm()))
    settled = norms[updates // 2 :]
    return sum(settled) / len(settled)


def test_lambda_is_torchs_weight_decay_not_half_of_it() -> None:
    """Section 4: ||w||^4 = eta^2 g^2 / (2 eta lambda - eta^2 lambda^2)."""
    eta, decay = 0.1, 0.05
    assert settled_norm("sgd", eta, decay) == pytest.approx(
        (eta * GRADIENT**2 / (decay * (2 - eta * decay))) ** 0.25, rel=0.03
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_exponents_of_the_effective_rate_at_equilibrium(optimizer: str) -> None:
    """eta^a lambda^b. The paper prints sqrt(eta / lambda) for SGD; what its own norms give is sqrt(eta lambda)."""
    row = LAWS[optimizer]
    eta, decay = {"rmsprop": (0.01, 0.05), "adam": (0.01, 0.05), "adamw": (0.02, 0.2)}.get(optimizer, (0.05, 0.02))

    def log_rate(eta: float, decay: float) -> float:
        return math.log(eta / settled_norm(optimizer, eta, decay) ** row.norm_power)

    here = log_rate(eta, decay)
    found = [(there - here) / math.log(2) for there in (log_rate(2 * eta, decay), log_rate(eta, 2 * decay))]
    assert found == pytest.approx(row.equilibrium_exponents(), abs=0.03)


@pytest.mark.parametrize(("optimizer", "power"), [("sgd", 1.0), ("adam", 0.5)])
def test_the_best_rate_goes_with_the_law(optimizer, power):
    assert LAWS[optimizer].best_rate_exponent() == pytest.approx(-power)


# PGD


@pytest.mark.parametrize(("on_sphere", "power"), [(False, -1), (True, 0)])
def test_the_gradient_of_a_short_filter_explodes_where_it_is_reparametrized_but_not_on_the_sphere(on_sphere, power):
    """Constrained paper, eq. 18-20: it goes with 1 / sigma."""
    gradients = []
    for scale in (1e-3, 1e-1):
        torch.manual_seed(0)
        model = digits_net(conv=nn.Conv2d if on_sphere else partial(WSConv2d, eps=0))
        for weight in conv_weights(model):
            weight.data.mul_(scale)
        if on_sphere:
            attach(SGD(model.parameters(), lr=0.1), model, SphereDescent())
        images, labels, _, _ = digits(0)
        nn.functional.cross_entropy(model(images), labels).backward()
        gradients.append(filter_norms([weight.grad for weight in conv_weights(model)]).mean().item())
    assert math.log(gradients[1] / gradients[0], 100) == pytest.approx(power, abs=0.01)


def test_the_power_of_the_best_rate_is_that_of_a_grid_made_by_the_law(tmp_path, capsys):
    """Scores fall with the distance from rate = 0.04 / decay, in columns whose rates have other sizes."""
    table = read_comparison("l2_figure_1", small=True)
    found = {
        Cell(method, column, rate, seed): Result(-abs(math.log(rate * settings["weight_decay"] / 0.04)), {}, 0, "", {})
        for method, settings in table.methods.items()
        for column, rate, seed in itertools.product(table.columns, table.rates, table.seeds)
    }
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(content_of(table, found, "")))
    best_rates.main([str(path)])
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"\| SGD \| 4 \|.*\| -1.0\d ± 0.00 \| -1 \|", lines[2])
    assert re.search(r"\| Adam \| 0.04 \|.*\| -1.0\d ± 0.00 \| -0.5 \|", lines[5])
    assert lines[7].endswith("|  |")
