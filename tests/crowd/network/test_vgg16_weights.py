"""ImageNet weights by layer: the front must compute what torchvision's VGG16 does."""

from __future__ import annotations

import logging

import pytest
import torch

from normreg_plugins.crowd.network import CSRNet, WeightFileError, load_vgg16
from normreg_plugins.crowd.network.vgg16_weights import find_weights

models = pytest.importorskip("torchvision.models")

FEATURES = {"vgg16": 23, "vgg16_bn": 33}  # up to the ReLU of conv4_3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files as torchvision has them, with random numbers and norms that have seen data."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    nets = {}
    for name in FEATURES:
        net = getattr(models, name)(weights=None, init_weights=False).train()
        del net.classifier  # most of the file, and none of our business
        with torch.no_grad():
            for _ in range(3):
                net.features(torch.randn(2, 3, 32, 32))
            for parameter in net.features.parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
        torch.save(net.state_dict(), folder / f"{name}.pth")
        nets[name] = net.eval().features[: FEATURES[name]]
    return folder, nets


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_the_front_becomes_vgg16(files, name):
    folder, nets = files
    model = CSRNet(norm=None if name == "vgg16" else torch.nn.BatchNorm2d).eval()
    back = model.back.back1.conv.weight.clone()
    load_vgg16(model, folder / f"{name}.pth")
    image = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        torch.testing.assert_close(model.front(image), nets[name](image), rtol=1e-4, atol=1e-4)
    assert model.back.back1.conv.weight.equal(back)


def test_convolutions_alone_go_into_a_net_with_norms(files, caplog):
    folder, nets = files
    model = CSRNet()
    with caplog.at_level(logging.WARNING):
        load_vgg16(model, folder / "vgg16.pth")
    assert "fresh norm layers" in caplog.text
    last = [m for m in nets["vgg16"] if isinstance(m, torch.nn.Conv2d)][-1]
    assert model.front.conv4_3.conv.weight.equal(last.weight)


def test_named_errors(files, tmp_path):
    folder, _ = files
    with pytest.raises(WeightFileError, match="take vgg16 instead"):
        load_vgg16(CSRNet(norm=None), folder / "vgg16_bn.pth")
    with pytest.raises(FileNotFoundError, match=r"missing\.pth.*torchvision"):
        load_vgg16(CSRNet(), tmp_path / "missing.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(WeightFileError, match=r"text\.pth"):
        load_vgg16(CSRNet(), tmp_path / "text.pth")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightFileError, match=r"features\.0\.weight"):
        load_vgg16(CSRNet(), tmp_path / "other.pth")
    state = torch.load(folder / "vgg16.pth", weights_only=True)
    state["features.21.weight"] = torch.zeros(512, 256, 3, 3)
    torch.save(state, tmp_path / "narrow.pth")
    with pytest.raises(WeightFileError, match=r"features\.21\.weight has shape \[512, 256, 3, 3\]"):
        load_vgg16(CSRNet(norm=None), tmp_path / "narrow.pth")


def test_names_mean_files_in_torchs_cache(files, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"vgg16_bn-6c64b313\.pth.*no such weight file"):
        find_weights("vgg16_bn")
    target = tmp_path / "checkpoints" / "vgg16-397923af.pth"
    target.parent.mkdir()
    target.write_bytes((files[0] / "vgg16.pth").read_bytes())
    assert find_weights("vgg16") == find_weights("torchvision://vgg16") == target
