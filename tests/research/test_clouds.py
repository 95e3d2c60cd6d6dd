"""Clouds of points: ModelNet40's layout on meshes that are made up, drawn solids, and DGCNN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD

from normreg_plugins import SphereDescent, attach
from normreg_plugins.files import DamagedFileError
from normreg_plugins.layers import ScaleBias
from research import prepare_modelnet40
from research.cifar.clouds import FILE, SOLIDS, modelnet_parts, solid_parts, surface, turned_and_jittered
from research.cifar.dgcnn import edges
from research.cifar.nets import NETS, NORMS
from research.cifar.training import scores
from research.compare.cells import Cell
from research.compare.description import read_comparison
from research.compare.train_cell import train_cell
from research.nets import conv_weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Two classes: boxes of three squares, and flat triangles. One header lacks its line break."""
    monkeypatch.chdir(tmp_path)
    for split, count in (("train", 4), ("test", 2)):
        for name in ("box", "flat"):
            folder = tmp_path / "ModelNet40" / name / split
            folder.mkdir(parents=True)
            for number in range(count):
                places = [(0, 0, 0), (9, 0, 0), (0, 1 + number, 0), *([(0, 0, 5)] if name == "box" else [])]
                faces = ["3 0 1 2", *(["3 0 1 3", "3 0 2 3", "3 1 2 3"] if name == "box" else [])]
                lines = [f"{len(places)} {len(faces)} 0", *(" ".join(map(str, place)) for place in places), *faces]
                (folder / f"{number}.off").write_text("OFF" + "\n" * (number > 0) + "\n".join(lines) + "\n")
    return tmp_path / "ModelNet40"


def prepare(raw):
    return prepare_modelnet40.main([str(raw), "--any-counts"])


def test_modelnet_is_packed_in_the_unit_ball_and_read(raw, capsys):
    assert prepare(raw) == 0
    assert "8 clouds to train on, 4 to test on" in capsys.readouterr().out
    parts = modelnet_parts(8, 0, 4, seed=0)
    assert (parts.learned.images.shape, len(parts.validated), len(parts.tested)) == ((8, 3, 1024), 0, 4)
    torch.testing.assert_close(parts.learned.images.norm(dim=1).amax(1), torch.ones(8))
    flat = parts.learned.images[:, 2].abs().amax(1) < 1e-6
    assert flat.tolist() == [label == 1 for label in parts.learned.labels.tolist()]
    with pytest.raises(ValueError, match="pictures=9: there are 8"):
        modelnet_parts(9, 0, 4, seed=0)


def test_points_are_uniform_by_area(tmp_path):
    """Two triangles, one nine times as large."""
    mesh = "OFF\n6 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 9\n3 0 9\n0 3 9\n3 0 1 2\n3 3 4 5\n"
    (tmp_path / "a.off").write_text(mesh)
    points = prepare_modelnet40.sampled(tmp_path / "a.off", np.random.default_rng(0))
    high = points[points[:, 2] > 0]
    assert len(high) / len(points) == pytest.approx(0.9, abs=0.03)
    corner, spread = high[:, :2].min(0), np.ptp(high[:, :2], axis=0)
    assert ((high[:, :2] - corner) / spread).mean(0) == pytest.approx([1 / 3, 1 / 3], abs=0.03)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("OFF\n3 1 0\n0 0 0\n1 0 0\n", "is damaged"),
        ("PLY", "does not begin with OFF"),
        ("OFF 3 0 0 " + "0 " * 9, "no surf"),
    ],
)
def test_a_damaged_mesh_is_named(raw, content, message, capsys):
    (raw / "flat" / "test" / "1.off").write_text(content)
    assert prepare(raw) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "flat/test/1.off" in said
    assert not FILE.exists()


def test_a_missing_or_damaged_file_says_what_to_fetch(raw, capsys):
    assert prepare_modelnet40.main([str(raw)]) == 2
    assert "has 2 classes and 8 files CLASS/train/*.off, not 40 and 9843" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="prepare_modelnet40"):
        modelnet_parts(8, 0, 4, seed=0)
    assert prepare(raw) == 0
    FILE.write_bytes(FILE.read_bytes()[:5000])
    with pytest.raises(DamagedFileError, match="make it again"):
        modelnet_parts(8, 0, 4, seed=0)


def test_solids_have_all_classes_and_each_is_its_surface():
    parts = solid_parts(16, 8, 8, seed=0)
    assert parts.learned.labels.bincount().tolist() == [2] * len(SOLIDS)
    torch.testing.assert_close(parts.tested.images.norm(dim=1).amax(1), torch.ones(8))
    assert torch.equal(parts.tested.images, solid_parts(16, 8, 8, seed=0).tested.images)
    points = {name: surface(*solid, 4000, np.random.default_rng(0)) for name, solid in SOLIDS.items()}
    np.testing.assert_allclose(np.linalg.norm(points["sphere"], axis=1), 1, atol=0.01)
    assert points["sphere"].mean(0) == pytest.approx([0, 0, 0], abs=0.05)
    radius, height = np.linalg.norm(points["cone"][:, :2], axis=1), points["cone"][:, 2]
    np.testing.assert_allclose(np.where(height > -1, 1 - 2 * radius, -1), height, atol=1e-6)
    x, y, z = np.abs(points["box"].T)
    np.testing.assert_allclose(np.maximum(x + y, z), 1, atol=1e-6)  # its corners are on the axes
    assert (height > -1).mean() == pytest.approx(5**0.5 / (1 + 5**0.5), abs=0.03)


def test_an_object_is_turned_around_its_up_axis():
    cloud = solid_parts(8, 1, 1, seed=0).learned.images
    torch.manual_seed(0)
    turned = turned_and_jittered(cloud)
    assert (turned[:, 2] - cloud[:, 2]).abs().max() <= 0.0501
    assert (turned[:, :2].norm(dim=1) - cloud[:, :2].norm(dim=1)).abs().max() < 0.1
    assert (turned[:, :2] - cloud[:, :2]).abs().max() > 0.5


def test_edges_are_those_of_the_nearest_points():
    """Against a loop."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12)
    for cloud, found in zip(x, edges(x, 4), strict=True):
        for i in range(12):
            nearest = (cloud - cloud[:, i : i + 1]).norm(dim=0).argsort()[:4]
            assert {*nearest.tolist()} >= {i}
            wanted = torch.stack([torch.cat([cloud[:, j] - cloud[:, i], cloud[:, i]]) for j in nearest], 1)
            torch.testing.assert_close(found[:, i].sum(1), wanted.sum(1))


def test_dgcnn_is_the_authors_and_does_not_see_the_order_of_the_points():
    net = NETS["dgcnn"](width=64, norm=nn.BatchNorm2d).eval()
    assert [len(weight) for weight in conv_weights(net)] == [64, 64, 128, 256, 1024, 512, 256]
    assert sum(p.numel() for p in net.parameters()) == 1_809_576 - 256, "the authors' with a bias before a norm layer"
    torch.manual_seed(0)
    points, order = torch.randn(2, 3, 40), torch.randperm(40)
    assert net(points).shape == (2, 40)
    torch.testing.assert_close(net(points), net(points[..., order]))


def test_pgd_takes_every_layer_of_dgcnn_but_the_classifier():
    net = NETS["dgcnn_small"](width=8, norm=ScaleBias)
    handle = attach(SGD(net.parameters(), lr=0.1), net, SphereDescent())
    assert len(handle.targets) == len(conv_weights(net)) == 7


@pytest.mark.parametrize("method", ["PGD", "WS + GN"])
def test_a_cell_of_the_papers_size_trains_on_what_was_packed(method, raw, tmp_path):
    assert prepare(raw) == 0
    comparison = read_comparison("pgd_table_5")
    few = {"pictures": 8, "tested": 4, "batch": 4, "epochs": 1, "width": 4}
    found = train_cell(replace(comparison, base={**comparison.base, **few}), Cell(method, "", None, 0), tmp_path)
    assert found.validation is None
    assert {found.test["accuracy"], found.test["class_accuracy"]} <= {0.0, 25.0, 50.0, 75.0, 100.0}


def test_the_mean_over_classes_weighs_each_class_alike():
    """A net that always says 0, of three clouds of class 0 and one of class 2."""
    pictures = replace(solid_parts(4, 1, 1, 0).learned, labels=torch.tensor([0, 0, 2, 0]))
    net = nn.Sequential(nn.Flatten(), nn.Linear(384, 3))
    nn.init.zeros_(net[1].weight)
    net[1].bias.data = torch.tensor([1.0, 0, 0])
    assert scores(net, pictures) == (75.0, 50.0)


def test_the_mlp_has_three_hidden_layers():
    net = NETS["mlp"](width=4, norm=NORMS["batch"])
    assert len(conv_weights(net)) == 3
    assert net(torch.zeros(2, 3, 32, 32)).shape == net(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
