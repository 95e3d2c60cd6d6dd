"""The experiments with constrained weights at a tiny length: they run, and each setting is what it is called."""

import json

import pytest
import torch
from torch import nn

from research import study_pgd
from research.studies import pgd_ablation, pgd_batches, pgd_explosion, pgd_training
from research.studies.pgd_training import Setting


def test_it_prints_draws_and_saves_every_part(tmp_path, capsys):
    assert study_pgd.main(["--seeds", "1", "--length", "0.01", "--workers", "1", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    for words in ("batch norm instead", "MLP, PGD", "small DGCNN", "study_pgd.png", "study_pgd.json"):
        assert words in told
    numbers = json.loads((tmp_path / "study_pgd.json").read_text())
    assert [len(part["runs"]) for part in numbers.values()] == [9, 12, 10, 8]
    assert (tmp_path / "study_pgd.png").read_bytes().startswith(b"\x89PNG")


def test_the_grid_has_every_constraint_with_every_noise_once():
    settings = [run.setting for run in pgd_ablation.runs(seeds=1, updates=1)]
    assert len(set(settings)) == len(settings) == 9
    assert sum(setting.batch_norm for setting in settings) == 1


def test_every_batch_size_sees_as_many_images():
    assert {run.batch * run.updates for run in pgd_batches.runs(seeds=2, updates=5)} == {5 * pgd_batches.BATCH}


@pytest.mark.parametrize("net", pgd_training.NETS)
def test_a_net_learns_with_and_without_batch_norm(net):
    for setting in (Setting(centre=True, sphere=True), Setting(batch_norm=True)):
        assert pgd_training.train(net, setting, rate=0.1, batch=32, updates=200, seed=0) > 60


def test_pgd_takes_every_layer_but_the_classifier():
    from normreg_plugins import SphereDescent, attach
    from normreg_plugins.layers import ScaleBias

    for build, _ in pgd_training.NETS.values():
        model = build(ScaleBias)
        handle = attach(torch.optim.SGD(model.parameters(), lr=0.1), model, SphereDescent())
        layers = [m.weight for m in model.children() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert [id(model.get_parameter(name)) for name in handle.targets] == [id(weight) for weight in layers[:-1]]


def test_centring_alone_keeps_the_means_at_zero_and_the_norms_free():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 3, 3, 3))
    optimizer = torch.optim.SGD([weight], lr=0.5, momentum=0.9)
    pgd_training.centre_alone(optimizer, [weight])
    before = weight.detach().flatten(1).norm(dim=1).clone()
    for _ in range(3):
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step()
    assert weight.detach().flatten(1).mean(1).abs().max() < 1e-5 * weight.detach().abs().max()
    assert not torch.allclose(weight.detach().flatten(1).norm(dim=1), before)


def test_the_gradient_of_a_reparametrized_filter_explodes_and_that_on_the_sphere_does_not():
    results = {run: pgd_explosion.train(run) for run in pgd_explosion.runs(1, 2)}
    assert pgd_explosion.exponent(results, "reparametrized, eq. 25") == pytest.approx([-1], abs=0.01)
    assert pgd_explosion.exponent(results, "PGD") == pytest.approx([0], abs=1e-3)
