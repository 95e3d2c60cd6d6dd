"""The residual nets for images of 32 px: their layers, their keys, and PGD on every convolution."""

import copy

import pytest
import torch

pytest.importorskip("mmpretrain")

from helpers.config_keys import CONFIGS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample

from normreg_plugins.core.errors import NormRegError
from normreg_plugins.core.training import handle_of
from normreg_plugins.hosts.mmengine.cifar_resnet import NormRegCifarResNet, Shorten

pytestmark = pytest.mark.mmpretrain


@pytest.mark.parametrize("options", [{}, {"block": "preactivated"}])
def test_pgd_takes_every_convolution_of_the_wide_net(options):
    """In the net as it was published, sums hide the scale-bias layers from most convolutions, so they are named."""
    config = Config.fromfile(CONFIGS / "classification" / "resnet110_pgd_cifar10.py")
    config.merge_from_dict({"model.backbone": {"depth": 16, "width": 2, **options}, "model.head.in_channels": 128})
    if options:
        config.optim_wrapper.regularizer.select = "backbone.*"
    torch.manual_seed(0)
    init_default_scope("mmpretrain")
    model = MODELS.build(config.model).train()
    model.init_weights()
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    images = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8) for _ in range(4)]
    batch = {"inputs": images, "data_samples": [DataSample().set_gt_label(label) for label in (0, 1, 2, 3)]}
    for _ in range(2):
        model(**model.data_preprocessor(copy.deepcopy(batch), True), mode="loss")["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    convolutions = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert {*handle_of(optimizer).targets} == convolutions
    for name in convolutions:
        weight = model.get_parameter(name).detach().flatten(1)
        assert weight.mean(1).abs().max() < 1e-6
        torch.testing.assert_close(weight.norm(dim=1), torch.full((len(weight),), 2**0.5))


def test_a_shortcut_without_weights_has_every_second_pixel_between_channels_of_zeros():
    """As in the CIFAR ResNets whose checkpoints load here."""
    x = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4) + 1
    y = Shorten(added=4, stride=2)(x)
    assert y.shape == (2, 7, 2, 2)
    assert torch.equal(y[:, 2:5], x[:, :, ::2, ::2])
    assert y[:, [0, 1, 5, 6]].abs().max() == 0


def test_the_keys_are_those_of_the_widespread_cifar_resnets():
    names = {name for name, _ in NormRegCifarResNet(20).named_parameters()}
    assert {"conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer3.2.bn2.weight"} <= names
    assert not any("shortcut" in name for name in names)


def test_a_net_that_cannot_be_built_is_refused():
    with pytest.raises(NormRegError, match=r"depth=20: must be 6 n \+ 4 with width=2"):
        NormRegCifarResNet(20, width=2)
