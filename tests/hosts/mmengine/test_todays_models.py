"""Today's models in two lines of config: built with their stock optimizer, stepped a few times, held to their norms."""

import copy
import warnings
from pathlib import Path

import pytest
import torch

mmdet = pytest.importorskip("mmdet")
mmseg = pytest.importorskip("mmseg")

from mmengine.config import Config  # noqa: E402
from mmengine.model.utils import revert_sync_batchnorm  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import MODELS, init_default_scope  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402

from normreg_plugins.core.errors import UnconfirmedWarning  # noqa: E402
from normreg_plugins.core.training import handle_of  # noqa: E402

pytestmark = pytest.mark.mm
SIDE = 64
TWO_LINES = {"constructor": "NormRegOptimWrapperConstructor", "regularizer": {"type": "WRS", "interval": 1}}


def config_of(package, name):
    config = Config.fromfile(Path(package.__file__).parent / ".mim" / "configs" / f"{name}.py")
    without_downloads(config.model)
    if config.model.get("data_preprocessor", {}).get("type") == "SegDataPreProcessor":
        config.model.data_preprocessor.size = (SIDE, SIDE)
    return config


def without_downloads(part):
    if isinstance(part, dict):
        part.pop("init_cfg", None)
        part.pop("pretrained", None)
        part = list(part.values())
    for each in part if isinstance(part, list | tuple) else ():
        without_downloads(each)


def detection_batch(with_mask):
    from mmdet.testing import demo_mm_inputs

    return demo_mm_inputs(2, [[3, SIDE, SIDE]] * 2, num_classes=5, with_mask=with_mask, use_box_type=False)


def segmentation_batch():
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(2):
        truth = PixelData(data=torch.randint(0, 2, (1, SIDE, SIDE)))
        shapes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape"), (SIDE, SIDE))
        samples.append(SegDataSample(gt_sem_seg=truth, metainfo=shapes))
    return {"inputs": list(torch.rand(2, 3, SIDE, SIDE) * 255), "data_samples": samples}


def train(config, batch, scope):
    """Two updates by the model's own `train_step`; its handle."""
    init_default_scope(scope)
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(config.model)).train()
    settings = {**config.optim_wrapper, **TWO_LINES}
    settings.pop("type", None)  # AmpOptimWrapper wants a GPU
    settings["optimizer"] = {**settings["optimizer"], "lr": 1e-4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnconfirmedWarning)  # what the structure could not tell is left alone
        wrapper = build_optim_wrapper(model, settings)
        for _ in range(2):
            losses = model.train_step(copy.deepcopy(batch), wrapper)
    assert all(torch.isfinite(torch.as_tensor(loss)).all() for loss in losses.values())
    handle = handle_of(wrapper.optimizer)
    assert handle.updates == 2
    for name in handle.targets:
        norms = model.get_parameter(name).detach().flatten(1).norm(dim=1)
        assert torch.allclose(norms, torch.ones_like(norms), rtol=1e-4), name
    return handle


@pytest.mark.slow
def test_rtmdet():
    config = config_of(mmdet, "rtmdet/rtmdet_tiny_8xb32-300e_coco")
    handle = train(config, detection_batch(False), "mmdet")
    left = {name for name in handle.left_alone if "rtm_" not in name}
    assert len(handle.targets) > 60
    assert all("attention" in name or "conv_branch" in name for name in left), left


@pytest.mark.slow
def test_mask_rcnn():
    config = config_of(mmdet, "mask_rcnn/mask-rcnn_r50_fpn_1x_coco")
    handle = train(config, detection_batch(True), "mmdet")
    kinds = {verdict.name: verdict.kind for verdict in handle.verdicts}
    assert all(name.startswith("backbone.layer") and kinds[name] == "compensated" for name in handle.targets)
    assert len(handle.targets) == 42
    assert all("frozen" in why for name, why in handle.left_alone.items() if name.startswith("backbone."))


def test_segformer_finds_only_the_convolutions_of_its_head():
    config = config_of(mmseg, "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512")
    handle = train(config, segmentation_batch(), "mmseg")
    assert all(name.startswith("decode_head.") for name in handle.targets)
    assert len(handle.targets) == 5
    left = {why for name, why in handle.left_alone.items() if name.startswith("backbone.")}
    assert left
    assert all(why.startswith(("free", "per_layer")) for why in left), left
