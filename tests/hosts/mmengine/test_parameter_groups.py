"""Parameter groups keep all that a config says of them, and follow their schedules."""

import pytest
from helpers.mm_toy import ToyNet, config, several, train
from helpers.training import decays_in_a_step
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn

from normreg_plugins.core.errors import AttachError
from normreg_plugins.core.training import STATE_KEY
from normreg_plugins.hosts.mmengine.method_hook import handles_of

pytestmark = pytest.mark.mm
TARGETS = {"conv1.weight", "depthwise.weight", "conv3.weight"}
WRS = {"type": "WRS", "interval": 3, "decay_on": "others"}

PARAMWISE = {
    "custom_keys of a norm and its conv": {"custom_keys": {"1": {"lr_mult": 0.3, "decay_mult": 2.0}}},
    "all at once": {
        "custom_keys": {"head": {"lr_mult": 10.0, "decay_mult": 0.0}},
        "norm_decay_mult": 0.5,
        "bias_lr_mult": 2.0,
        "dwconv_decay_mult": 0.2,
        "bypass_duplicate": True,
    },
}
SCHEDULE = [
    {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 5},
    {"type": "CosineAnnealingLR", "by_epoch": False, "T_max": 12, "eta_min": 1e-3},
]


def options_of(runner):
    """What each parameter's group says, by the parameter's name."""
    names = {id(p): name for name, p in runner.model.named_parameters()}
    return {
        names[id(p)]: {key: value for key, value in group.items() if key not in ("params", "param_names", STATE_KEY)}
        for group in runner.optim_wrapper.optimizer.param_groups
        for p in group["params"]
    }


@pytest.mark.parametrize(("name", "way"), list(zip(PARAMWISE, ["hook", "constructor"])))
def test_every_paramwise_option_stays_but_the_targets_decay(tmp_path, name, way):
    changes = {"optim_wrapper.paramwise_cfg": PARAMWISE[name], "train_cfg.max_epochs": 1}
    plain = train(tmp_path / "plain", **changes)
    with_method = train(tmp_path / "wrs", WRS, way, **changes)
    assert options_of(with_method) == options_of(plain)
    decays = decays_in_a_step(with_method.model, with_method.optim_wrapper.optimizer)
    assert decays == {n: 0.0 if n in TARGETS else o["weight_decay"] for n, o in options_of(plain).items()}


class ToyConvNeXt(nn.Module):
    """Has the names that mmdet's layer decay looks for, and in one group both targets and other weights."""

    def __init__(self):
        super().__init__()
        block = [nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1)]
        self.downsample_layers = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))])
        self.stages = nn.ModuleList([nn.Sequential(nn.Sequential(*block))])


@MODELS.register_module()
class LayerDecayNet(ToyNet):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.backbone = ToyConvNeXt()
        for name in ("conv1", "bn1", "depthwise", "bn2", "conv3", "bn3"):
            delattr(self, name)

    def features(self, x):
        return self.backbone.stages[0](self.backbone.downsample_layers[0](x)).relu()


def test_layer_decay_of_another_constructor(tmp_path):
    import mmdet.engine  # noqa: F401  (it registers the constructor)

    decay = {"decay_rate": 0.5, "decay_type": "layer_wise", "num_layers": 6}
    base = "mmdet.LearningRateDecayOptimizerConstructor"
    runner_of = {}
    for kind in ("plain", "wrs"):
        key = "base_constructor" if kind == "wrs" else "constructor"
        changes = {f"optim_wrapper.{key}": base, "optim_wrapper.paramwise_cfg": decay, "model.type": "LayerDecayNet"}
        changes["param_scheduler"] = SCHEDULE
        runner_of[kind] = train(tmp_path / kind, WRS if kind == "wrs" else None, **changes)
    plain, with_method = (options_of(runner_of[kind]) for kind in ("plain", "wrs"))
    (handle,) = handles_of(runner_of["wrs"])
    assert set(handle.targets) == {"backbone.downsample_layers.0.0.weight", "backbone.stages.0.0.0.weight"}
    assert with_method == plain
    assert len({options["lr"] for options in plain.values()}) > 2
    base_rates = [runner_of[kind].optim_wrapper.get_lr()["base_lr"] for kind in ("plain", "wrs")]
    assert base_rates[0] == base_rates[1]  # this is what the log shows
    for group in runner_of["wrs"].optim_wrapper.optimizer.param_groups:
        assert len(group["params"]) == len(group["param_names"])


@pytest.mark.parametrize("way", ["constructor", "hook", "monitor"])
def test_several_optimizers_are_refused_with_what_to_do(tmp_path, way):
    cfg = config(tmp_path, WRS if way == "hook" else None, way, **several({"early": ["conv", "bn"], "late": ["head"]}))
    if way == "constructor":
        cfg.optim_wrapper |= {"constructor": "NormRegOptimWrapperConstructor", "base_constructor": "OnePerPart"}
        cfg.optim_wrapper.regularizer = WRS
    if way == "monitor":
        cfg.custom_hooks = [{"type": "NormRegMonitorHook"}]
    with pytest.raises(AttachError, match="takes one optimizer" if way == "monitor" else "attach a method to each"):
        Runner.from_cfg(cfg).train()
