"""Our layers in real mm models: built from configs, converted, loaded back and folded. And timm's optimizers."""

import copy

import pytest
import torch
from helpers.mm_toy import train
from torch import nn

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")
pytest.importorskip("mmdet")
pytest.importorskip("mmseg")

import mmseg.models  # noqa: F401
from mmcv.cnn import ConvModule, build_conv_layer, build_norm_layer
from mmengine.model import initialize
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from normreg_plugins.hosts.mmengine.config_names import NormRegLinearNoiseHook, NormRegScaleBias
from normreg_plugins.layers import ScaleBias, normalized_class

pytestmark = pytest.mark.mm

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BATCH_NORM = {"type": "BN"}
SCALE_BIAS = {"type": "NormRegScaleBias", "sigma": 0.1}


@pytest.mark.parametrize("scope", ["mmdet", "mmseg"])
def test_registered_convolutions(scope: str) -> None:
    with DefaultScope.overwrite_default_scope(scope):
        for prefix in ("WN", "CWN", "WS", "BWN"):
            for rank in (1, 2, 3):
                name = f"{prefix}Conv{rank}d"
                layer = build_conv_layer({"type": f"NormReg{name}", "gain": True}, 4, 6, 3, groups=2)
                assert type(layer) is normalized_class(getattr(nn, f"Conv{rank}d"), prefix.lower())
                assert layer.gain.shape == ((1,) if prefix == "BWN" else (6,))


def test_initialization_rules_for_convolutions_reach_ours() -> None:
    module = ConvModule(3, 4, 3, conv_cfg={"type": "NormRegWSConv2d"}, norm_cfg=SCALE_BIAS)
    initialize(module, {"type": "Constant", "layer": "Conv2d", "val": 0.5})
    assert (module.conv.weight == 0.5).all()


@pytest.mark.parametrize("scope", ["mmdet", "mmseg"])
def test_registered_norm_keeps_the_names_of_a_batch_norm(scope: str) -> None:
    with DefaultScope.overwrite_default_scope(scope):
        name, layer = build_norm_layer(SCALE_BIAS, 4, postfix=1)
        ours = ConvModule(3, 4, 3, norm_cfg=SCALE_BIAS)
        theirs = ConvModule(3, 4, 3, norm_cfg=BATCH_NORM)
    assert (name, type(layer), layer.sigma) == ("bn1", NormRegScaleBias, 0.1)
    lost = set(theirs.state_dict()) - set(ours.state_dict())
    assert lost == {"bn.running_mean", "bn.running_var", "bn.num_batches_tracked"}
    assert set(ours.state_dict()) < set(theirs.state_dict())
    assert not torch.equal(ours(IMAGES), ours(IMAGES))  # it draws noise
    ours.eval()
    assert torch.equal(ours(IMAGES), ours(IMAGES))


def test_linear_noise_is_given_before_the_run(tmp_path) -> None:
    model = nn.Sequential(*(ConvModule(3, 3, 3, norm_cfg=SCALE_BIAS) for _ in range(4)))
    runner = Runner(model, work_dir=str(tmp_path), experiment_name=tmp_path.name)
    runner.register_hook({"type": "NormRegLinearNoiseHook", "sigma": 0.8})
    assert any(isinstance(hook, NormRegLinearNoiseHook) for hook in runner.hooks)
    runner.call_hook("before_run")
    assert [m.bn.sigma for m in copy.deepcopy(runner.model)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize(("load_from", "begun"), [(None, 0), ("some.pth", 0), (None, 5)])
def test_branches_begin_at_zero_unless_something_was_loaded(tmp_path, load_from, begun) -> None:
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build({"type": "ResNet", "depth": 18, "base_channels": 4, "norm_cfg": SCALE_BIAS})
    runner = Runner(model, work_dir=str(tmp_path), experiment_name=f"{tmp_path.name}{begun}", load_from=load_from)
    runner._train_loop = IterBasedTrainLoop(runner, DataLoader([0]), max_iters=9)
    runner._train_loop._iter = begun
    runner.register_hook({"type": "NormRegZeroScaleHook", "names": ["*.bn2"]})
    runner.call_hook("before_train")
    zero = [name for name, m in model.named_modules() if isinstance(m, ScaleBias) and not m.weight.any()]
    assert len(zero) == (0 if load_from or begun else 8)
    assert all(name.endswith("bn2") for name in zero)


def test_the_baseline_of_the_paper_trains(tmp_path):
    optimizer = {"_delete_": True, "type": "NormRegAdamP", "lr": 0.01, "weight_decay": 0.01}
    runner = train(tmp_path, optim_wrapper={"optimizer": optimizer})
    assert type(runner.optim_wrapper.optimizer).__name__ == "AdamP"
    assert type(runner.optim_wrapper.optimizer).__module__.startswith("timm.")
