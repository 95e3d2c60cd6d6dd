"""`NormRegPretrained` in mm's own networks: they compute what they compute with mm's `Pretrained`."""

import copy

import pytest
import torch
from helpers.layer_cases import fill_norms_
from torch import nn

pytest.importorskip("mmengine")
pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

from mmengine.registry import MODELS, DefaultScope

import normreg_plugins.hosts.mmengine  # noqa: F401  (it registers what the configs name)
from normreg_plugins.layers import ScaleBias, relative_change

models = pytest.importorskip("torchvision.models")

pytestmark = pytest.mark.mm

SCALE_BIAS = {"norm_cfg": {"type": "NormRegScaleBias"}}
WN = {"conv_cfg": {"type": "NormRegWNConv2d"}}
YOLO = {
    "type": "YOLOV3",
    "backbone": {"type": "MobileNetV2", "widen_factor": 0.25, "out_indices": (2, 4, 6)},
    "neck": {"type": "YOLOV3Neck", "num_scales": 3, "in_channels": [80, 24, 8], "out_channels": [16, 16, 16]},
    "bbox_head": {"type": "YOLOV3Head", "num_classes": 3, "in_channels": [16, 16, 16], "out_channels": [16, 16, 16]},
}
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()


def build(scope: str, settings: dict) -> nn.Module:
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(copy.deepcopy(settings)).double()
        model.init_weights()
    return model


def see_images(model: nn.Module):
    return model(IMAGES)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[nn.Module, str]:
    """A detector whose norm layers have seen data, and its file, as a model zoo has it."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("zoo") / "net.pth"
    net = fill_norms_(build("mmdet", YOLO))
    torch.save({"state_dict": net.state_dict(), "meta": {}}, path)
    return net, str(path)


def test_a_detector_keeps_all_but_the_layers_of_its_new_classes(published):
    net, path = published
    parts = {part: {**YOLO[part], **SCALE_BIAS} for part in ("backbone", "neck", "bbox_head")}
    parts["bbox_head"]["num_classes"] = 5
    result = build("mmdet", {**YOLO, **parts, "init_cfg": {"type": "NormRegPretrained", "checkpoint": path}})
    features = lambda model: model.neck(model.backbone(IMAGES))  # noqa: E731
    assert relative_change(net, result, features) < 1e-9
    plainly = build("mmdet", {**YOLO, **parts, "init_cfg": {"type": "Pretrained", "checkpoint": path}})
    assert relative_change(net, plainly, features) > 0.1
    assert not any(m.weight.equal(torch.ones_like(m.weight)) for m in result.modules() if isinstance(m, ScaleBias))


def test_a_backbone_takes_its_part_of_a_detector(published):
    net, path = published
    pretrained = {"type": "NormRegPretrained", "checkpoint": path, "prefix": "backbone"}
    result = build("mmdet", {**YOLO["backbone"], **SCALE_BIAS, "init_cfg": pretrained})
    assert relative_change(net.backbone, result, see_images) < 1e-9
    with pytest.raises(ValueError, match="prefix='trunk'"):
        build("mmdet", {**YOLO["backbone"], **SCALE_BIAS, "init_cfg": {**pretrained, "prefix": "trunk"}})


FEATURES = {"vgg16": 23, "vgg16_bn": 33}  # up to the ReLU of conv4_3


@pytest.mark.parametrize(("name", "others"), [("vgg16", SCALE_BIAS), ("vgg16_bn", WN | {"norm_cfg": {"type": "BN"}})])
def test_the_front_of_csrnet_becomes_vgg16(tmp_path, name, others):
    torch.manual_seed(0)
    net = fill_norms_(getattr(models, name)(weights=None)).double()
    del net.classifier
    for parameter in net.features.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(torch.randn(parameter.shape) * 0.1)
    torch.save(net.state_dict(), tmp_path / "vgg.pth")
    settings = {
        "type": "CrowdCounter",
        "backbone": {"type": "CSRNet", **others},
        "loss": {"type": "BayesianLoss"},
        "init_cfg": {"type": "NormRegPretrained", "checkpoint": str(tmp_path / "vgg.pth")},
    }
    front = build("mmengine", settings).backbone.front.eval()
    expected = net.features[: FEATURES[name]].eval()
    with torch.no_grad():
        torch.testing.assert_close(front(IMAGES), expected(IMAGES), rtol=1e-6, atol=1e-9)
