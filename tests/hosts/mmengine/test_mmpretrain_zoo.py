"""Verdicts on the classification nets, against numbers: from our configs, narrower, on a few images of 32 or 64 px."""

import copy
import warnings
from dataclasses import dataclass, field

import pytest
import torch

pytest.importorskip("mmpretrain")

from helpers.config_keys import CONFIGS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample

from normreg_plugins import WeightRescaling, attach, find_scale_invariant, prove_scale_invariant
from normreg_plugins.core.errors import NormRegError, SelectionError
from normreg_plugins.core.training import handle_of
from normreg_plugins.hosts.mmengine.cifar_resnet import NormRegCifarResNet, Shorten

pytestmark = pytest.mark.mmpretrain
NARROW = {"stem_channels": 8, "base_channels": 8}
WS, BWN = ({"conv_cfg": {"type": f"NormReg{kind}Conv2d"}} for kind in ("WS", "BWN"))
MEAN_ONLY = {"norm_cfg": {"type": "NormRegMeanOnlyBN"}}


@dataclass
class Case:
    config: str
    invariant: int
    """The weights whose scale one norm layer takes away."""
    backbone: dict = field(default_factory=dict)
    head: dict = field(default_factory=dict)
    size: int = 32
    numbers: str = ""
    """The kind by numbers where it is finer. Batch norm also takes away what BWN, which sees a whole weight, leaves."""
    missed: tuple[str, ...] = ()
    """Invariant weights that the structure alone does not tell."""


CASES = {
    "vgg16bn": Case("vgg16bn_wd_cifar10", 13),
    "resnet18": Case("resnet18_wd_cifar10", 20, NARROW, {"in_channels": 64}),
    "resnet18_ws": Case("resnet18_wd_cifar10", 20, NARROW | WS, {"in_channels": 64}),
    "resnet18_bwn": Case("resnet18_wd_cifar10", 0, NARROW | BWN, {"in_channels": 64}, numbers="invariant"),
    "resnet18_bwn_mean_only": Case("resnet18_wd_cifar10", 0, NARROW | BWN | MEAN_ONLY, {"in_channels": 64}),
    "wrn": Case("wrn28_10_wd_cifar10", 16, {"depth": 16, "width": 2}, {"in_channels": 128}),
    "wrn_preactivated": Case(
        "wrn28_10_wd_tinyimagenet",
        7,
        {"depth": 16, "width": 2, "block": "preactivated"},
        {"in_channels": 128},
        missed=("backbone.conv1.weight",),
    ),
    "resnet110": Case("resnet110_wd_cifar10", 19, {"depth": 20}),
    "resnet50": Case("resnet50_wd_imagenet", 53, {"stem_channels": 16, "base_channels": 8}, {"in_channels": 256}, 64),
    "resnext50": Case(
        "resnet50_wd_imagenet", 53, {"type": "ResNeXt", "groups": 4, "width_per_group": 4, "base_channels": 64}, {}, 64
    ),
    "se_resnet50": Case(
        "resnet50_wd_imagenet", 53, {"type": "SEResNet", "se_ratio": 4, "base_channels": 8}, {"in_channels": 256}, 64
    ),
}


def build(case):
    config = Config.fromfile(CONFIGS / "classification" / f"{case.config}.py")
    config.merge_from_dict({"model.backbone": case.backbone, "model.head": {"num_classes": 10, **case.head}})
    torch.manual_seed(0)
    init_default_scope("mmpretrain")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mmcv's, of the biases that mmpretrain's VGG has in front of its norm layers
        model = MODELS.build(config.model)
    model.init_weights()
    return config, model.train()


def forward_of(size):
    generator = torch.Generator().manual_seed(1)
    images = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator) for _ in range(4)]
    batch = {"inputs": images, "data_samples": [DataSample().set_gt_label(label) for label in (0, 1, 2, 3)]}

    def forward(model):
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        return model(**data, mode="loss"), model(**data, mode="tensor")

    return forward


@pytest.fixture(params=CASES, scope="module")
def zoo(request):
    """A case, its model in training mode, its forward, and what is seen of it."""
    case = CASES[request.param]
    _, model = build(case)
    forward = forward_of(case.size)
    return case, model, forward, find_scale_invariant(model, forward)


def test_the_verdicts_are_the_numeric_truth(zoo):
    case, model, forward, verdicts = zoo
    assert len(verdicts.of("invariant")) == case.invariant
    for seen, true in zip(verdicts, prove_scale_invariant(model, forward), strict=True):
        finer = case.numbers if seen.kind == "per_layer" and case.numbers else seen.kind
        assert true.kind == finer, f"{seen} but {true}"
    assert verdicts[-1].kind == "free", "the output layer is a constraint, and never taken by itself"


def test_the_structure_tells_the_same(zoo):
    case, model, _, verdicts = zoo
    differ = [t.name for t, s in zip(find_scale_invariant(model), verdicts, strict=True) if t.kind != s.kind]
    assert differ == [*case.missed]


def test_a_step_of_wrs_leaves_the_evaluated_function(zoo):
    case, model, forward, verdicts = zoo
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # so that WRS alone changes weights
    if not case.invariant:
        with pytest.raises(SelectionError, match="finds no weight to act on"):
            attach(optimizer, model, WeightRescaling(interval=1), forward=forward)
        return
    handle = attach(optimizer, model, WeightRescaling(interval=1), forward=forward)
    forward(model)[0]["loss"].backward()
    before = evaluated(model, case.size)
    optimizer.step()
    assert {*handle.targets} == {v.name for v in verdicts.of("invariant")}
    for name in handle.targets:
        norms = model.get_parameter(name).detach().flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-5, atol=0)
    after = evaluated(model, case.size)
    assert (after - before).norm() < 1e-4 * before.norm()


@torch.no_grad()
def evaluated(model, size):
    scores = model.eval()(torch.linspace(-1, 1, 2 * 3 * size * size).view(2, 3, size, size), mode="tensor")
    model.train()
    return scores.clone()


@pytest.mark.parametrize("options", [{}, {"block": "preactivated"}])
def test_pgd_takes_every_convolution_of_the_wide_net(options):
    """In the net as it was published, sums hide the scale-bias layers from most convolutions, so they are named."""
    case = Case("wrn28_10_cosine_pgd_cifar10", 0, {"depth": 16, "width": 2, **options}, {"in_channels": 128})
    config, model = build(case)
    if options:
        config.optim_wrapper.regularizer.select = "backbone.*"
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    for _ in range(2):
        forward_of(32)(model)[0]["loss"].backward()
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 28}, "depth=28: must be 6 n \\+ 2"),
        ({"depth": 20, "width": 2}, "6 n \\+ 4"),
        ({"depth": 20, "block": "x"}, "block='x'"),
    ],
)
def test_a_net_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(NormRegError, match=message):
        NormRegCifarResNet(**options)
