"""The counter: built from configs, its losses, its predictions, and the weights that the methods act on."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from helpers.mini_crowd import ROOT, sample_of
from mmengine.config import Config
from mmengine.registry import MODELS

import normreg_plugins
from normreg_plugins.crowd import CSRNet
from normreg_plugins.crowd.data.images import MEAN_COLOUR
from normreg_plugins.hosts.mmengine.crowd import build_csrnet

PREPROCESSOR = {"type": "ImgDataPreprocessor", "mean": MEAN_COLOUR, "std": (58.0, 57.0, 57.0)}

pytestmark = pytest.mark.mm


@pytest.fixture(scope="module")
def counter():
    """A counter that counts something: an output far from zero."""
    torch.manual_seed(0)
    model = MODELS.build(
        {
            "type": "CrowdCounter",
            "backbone": {"type": "CSRNet", "norm_cfg": {"type": "BN"}, "width": 0.25},
            "loss": {"type": "BayesianLoss"},
            "data_preprocessor": PREPROCESSOR,
        }
    )
    torch.nn.init.normal_(model.backbone.output.weight, std=1.0)
    return model.eval()


def test_csrnet_from_configs():
    model = build_csrnet(norm_cfg={"type": "GN", "num_groups": 4}, output="relu", width=0.25)
    assert sum(isinstance(m, torch.nn.GroupNorm) for m in model.modules()) == 16
    plain = MODELS.build({"type": "CSRNet", "width": 0.25})
    assert isinstance(plain, CSRNet)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())


def test_prediction_does_not_depend_on_the_batch(counter):
    """Pictures of other sizes, and what pads the batch, change no count."""
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((41, 70), (64, 33))]
    samples = [sample_of(*image.shape[1:], name="x", count=1) for image in images]
    alone = [
        counter.val_step({"inputs": [image], "data_samples": [sample.clone()]})[0]
        for image, sample in zip(images, samples, strict=True)
    ]
    together = counter.val_step({"inputs": images, "data_samples": samples})
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.density, other.density)
        assert one.density.shape == tuple(-(-side // 8) for side in one.img_shape)
        assert one.predicted_count == pytest.approx(one.density.double().sum().item())
        assert one.predicted_count > 0


def test_losses_pass_what_the_loss_needs(counter):
    inputs = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    samples = [sample_of(32, 32, [(3.0, 4.0), (20.0, 9.0)], name="a"), sample_of(32, 32, (), name="b")]
    samples[0].targets = torch.tensor([1.0, 0.5])
    data = counter.data_preprocessor({"inputs": list(inputs), "data_samples": samples}, True)
    losses = counter(**data, mode="loss")
    density = counter(data["inputs"])
    expected = counter.density_loss(density, [s.points for s in samples], [s.targets for s in samples], [64, 64])
    torch.testing.assert_close(losses["loss"], expected)
    counts = density.sum((1, 2, 3)) - torch.tensor([1.5, 0.0])
    torch.testing.assert_close(losses["mae"], counts.abs().mean())


def test_exactly_the_sixteen_convolutions_are_targets():
    """By the numeric proof on a training loss of the model; by structure in tests/configs/test_builds.py."""
    cfg = Config.fromfile(ROOT / "configs" / "csrnet_wrs.py").model
    cfg.backbone.width = 0.25
    model = MODELS.build(cfg)
    names = {f"backbone.{m}.conv.weight" for m in _blocks(model.backbone)}
    assert len(names) == 16
    images = torch.randn(2, 3, 32, 32)
    samples = [sample_of(32, 32, name="a"), sample_of(32, 32, name="b")]

    def forward(counter):
        return counter(images, samples, mode="loss")

    kinds = {verdict.name: str(verdict.kind) for verdict in normreg_plugins.prove_scale_invariant(model, forward)}
    assert {name for name, kind in kinds.items() if kind == "invariant"} == names
    assert (kinds["backbone.output.weight"], len(kinds)) == ("free", 17)


def _blocks(backbone):
    names = [name for name, module in backbone.named_modules() if isinstance(module, torch.nn.Conv2d)]
    return [name.removesuffix(".conv") for name in names if name != "output"]
