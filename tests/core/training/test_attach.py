"""What `attach` and the methods refuse, what a handle shows, and several optimizers at once."""

import copy
import re
from contextlib import contextmanager

import pytest
import torch
import torch.distributed as dist
from helpers.measures import change, outputs
from helpers.nets import see_images
from helpers.training import INVARIANT, are_unit, attached, lengths, see_batch, tiny_net, train
from torch import nn
from torch.ao import quantization
from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager
from torch.distributed.optim import PostLocalSGDOptimizer, ZeroRedundancyOptimizer
from torch.optim import LBFGS, SGD, Adam

from normreg_plugins import (
    AdaptiveWeightShrink,
    Hyperball,
    SphereDescent,
    WeightRescaling,
    attach,
    prove_scale_invariant,
)
from normreg_plugins.core.errors import AttachError, NormRegError, StructureMismatchError

EVERY_UPDATE = WeightRescaling(interval=1)


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimization (Foret et al. 2021), by two steps, as its implementations have it."""

    def __init__(self, parameters, rho: float = 0.05) -> None:
        super().__init__(parameters, {"rho": rho})
        self.base_optimizer = SGD(self.param_groups, lr=0.1)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self) -> None:
        self._moved = [(p, p.clone()) for p in self.param_groups[0]["params"]]
        size = torch.stack([p.grad.norm() for p, _ in self._moved]).norm()
        for p, _ in self._moved:
            p.add_(p.grad, alpha=float(self.param_groups[0]["rho"] / size))
        self.zero_grad()

    @torch.no_grad()
    def second_step(self) -> None:
        for p, before in self._moved:
            p.copy_(before)
        self.base_optimizer.step()


@contextmanager
def process_group(folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


WRAPPERS = {
    "SAM": SAM,
    "Lookahead": lambda parameters: pytest.importorskip("timm.optim").Lookahead(SGD(parameters, lr=0.1), k=10),
    "PostLocalSGD": lambda parameters: PostLocalSGDOptimizer(SGD(parameters, lr=0.1), PeriodicModelAverager(period=9)),
    "ZeRO": lambda parameters: ZeroRedundancyOptimizer(parameters, SGD, lr=0.1),
}


class TestRefusals:
    def test_lbfgs(self) -> None:
        net = tiny_net()
        with pytest.raises(AttachError, match="LBFGS"):
            attach(LBFGS(net.parameters()), net, EVERY_UPDATE)

    def test_what_is_no_optimizer(self) -> None:
        net = tiny_net()
        wrapper = type("Wrapper", (), {"optimizer": SGD(net.parameters(), lr=0.1)})()
        with pytest.raises(AttachError, match=r"Wrapper.*\.optimizer"):
            attach(wrapper, net, EVERY_UPDATE)

    def test_what_is_no_method(self) -> None:
        with pytest.raises(AttachError, match="'WRS'"):
            attached("WRS")

    def test_a_second_method_on_the_same_optimizer(self) -> None:
        net, optimizer, handle = attached(EVERY_UPDATE)
        with pytest.raises(AttachError, match=r"WeightRescaling\(interval=1.*detach"):
            attach(optimizer, net, SphereDescent())
        handle.detach()
        assert attach(optimizer, net, SphereDescent()).targets == INVARIANT

    @pytest.mark.parametrize("name", WRAPPERS)
    def test_an_optimizer_around_another_is_refused_before_anything_changes(self, name: str, tmp_path) -> None:
        net = tiny_net()
        with process_group(tmp_path):
            wrapper = WRAPPERS[name](net.parameters())
        groups = len(wrapper.param_groups)
        with pytest.raises(AttachError) as refused:
            attach(wrapper, net, EVERY_UPDATE)
        assert len(wrapper.param_groups) == groups
        way_out = re.search(r"optimizer\.(\w+)$", str(refused.value))
        if name == "ZeRO":
            assert "Use a plain optimizer with DDP" in str(refused.value)
            return
        assert way_out is not None
        handle = attach(getattr(wrapper, way_out[1]), net, EVERY_UPDATE)
        for index in range(4):
            wrapper.zero_grad()
            see_batch(net).backward()
            if name == "SAM":
                wrapper.first_step()
                see_batch(net).backward()
                wrapper.second_step()
            else:
                wrapper.step()
            assert handle.updates == index + 1
            assert are_unit(net)

    @pytest.mark.parametrize("forward", [torch.ones(2, 3, 8, 8), 3])
    @pytest.mark.parametrize("use", [lambda net, f: attached(EVERY_UPDATE, net=net, forward=f), prove_scale_invariant])
    def test_a_forward_that_is_no_function(self, use, forward) -> None:
        with pytest.raises(NormRegError, match=r"forward='(Tensor|int)': must be a function that runs one training"):
            use(tiny_net(), forward)

    @pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, torch.ones(2, 3, 8, 8))])
    def test_a_scripted_model(self, make) -> None:
        with pytest.raises(NormRegError, match=r"Script|Traced.*use the module that it was made of"):
            attached(EVERY_UPDATE, net=make(tiny_net()))

    def test_a_lazy_layer_until_it_has_a_weight(self) -> None:
        net = nn.Sequential(nn.LazyConv2d(6, 3), *tiny_net()[1:])
        with pytest.raises(NormRegError, match=r"0 \(LazyConv2d\) has no weight yet: run one forward"):
            attached(EVERY_UPDATE, net=net)
        see_batch(net)
        assert attached(EVERY_UPDATE, net=net).handle.targets == INVARIANT

    @pytest.mark.parametrize("fused", [False, True])
    @pytest.mark.parametrize("forward", [None, see_batch])
    def test_quantization_before_attach_and_after_it(self, fused: bool, forward) -> None:
        def prepare(net: nn.Sequential) -> nn.Sequential:
            net.qconfig = quantization.get_default_qat_qconfig("fbgemm")
            if fused:
                quantization.fuse_modules_qat(net, [["0", "1", "2"]], inplace=True)
            return quantization.prepare_qat(net, inplace=True)

        with pytest.raises(NormRegError, match="finds no weight to act on"):
            attached(EVERY_UPDATE, net=prepare(tiny_net()[:3]), forward=forward and see_images)
        net, optimizer, _ = attached(EVERY_UPDATE, forward=forward)
        prepare(net)
        with pytest.raises(StructureMismatchError, match=r"0\.weight: .*(shows free|was replaced after attach)"):
            train(net, optimizer, 1)

    def test_a_refused_attach_leaves_nothing_behind(self) -> None:
        net = tiny_net()
        optimizer = SGD(net.parameters(), lr=0.1, weight_decay=0.1)
        before = copy.deepcopy(optimizer.state_dict())
        for trouble in ({"select": "head"}, {"select": []}):
            with pytest.raises(NormRegError):
                attach(optimizer, net, EVERY_UPDATE, **trouble)
        with pytest.raises(AttachError, match="updates_per_epoch"):
            attach(optimizer, net, WeightRescaling(begin=1, unit="epoch"))
        assert optimizer.state_dict() == before
        assert not net._forward_hooks
        assert not net._forward_pre_hooks
        assert attach(optimizer, net, EVERY_UPDATE).targets == INVARIANT


NAN, INF = float("nan"), float("inf")
BAD = {
    WeightRescaling: {
        "interval": [0, -3, 2.5, True],
        "radius": [0.0, -1.5, NAN, INF, "1", True, None],
        "per": ["channel"],
        "output_layers": [(3,), ("",)],
        "begin": [-1, 1.5],
        "end": [0],
        "unit": ["iteration"],
    },
    AdaptiveWeightShrink: {"alpha": [-1e-3, NAN, "2"], "measure": ["mean"], "begin": [-2], "unit": ["step"]},
    SphereDescent: {"c": [0, -2.0, INF, None]},
    Hyperball: {"per": ["position"]},
}


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [(method, option, value) for method, bad in BAD.items() for option, values in bad.items() for value in values],
)
def test_a_bad_option_is_refused_with_its_value(method, option: str, value) -> None:
    with pytest.raises(NormRegError) as trouble:
        method(**{option: value})
    assert f"{option}={value!r}" in str(trouble.value)
    assert isinstance(trouble.value, ValueError)


def test_a_phase_must_end_after_it_begins() -> None:
    with pytest.raises(NormRegError, match=r"end=3.*begin=3"):
        AdaptiveWeightShrink(begin=3, end=3)


@pytest.mark.parametrize(
    "method",
    [
        WeightRescaling(interval=7, radius=0.5, per="position", output_layers=("head", "fc"), begin=1, end=9),
        WeightRescaling(unit="epoch", at_start=True, decay_on="all"),
        AdaptiveWeightShrink(1e-4, "std", begin=2, end=5, unit="epoch", decay_on="all"),
        SphereDescent(c=1.0, center=False, decay_on="others"),
    ],
)
def test_a_method_is_rebuilt_from_its_repr(method) -> None:
    assert eval(repr(method)) == method


def test_several_optimizers_each_with_its_own_method_and_count() -> None:
    net = tiny_net()
    first, second = SGD(net[:2].parameters(), lr=0.1), Adam(net[2:].parameters(), lr=1e-2)
    wrs = attach(first, net, WeightRescaling(interval=2))
    pgd = attach(second, net, SphereDescent(c=2.0))
    assert (wrs.targets, pgd.targets) == (("0.weight",), ("3.weight",))
    for index in range(4):
        net.zero_grad()
        see_batch(net).backward()
        first.step()
        if index % 2:
            second.step()
    assert (wrs.updates, pgd.updates) == (4, 2)
    assert repr(pgd) == "<SphereDescent(c=2.0) on 1 of 3 weights, 2 updates>"
    assert are_unit(net, "0.weight")
    assert are_unit(net, "3.weight", radius=2**0.5)


def test_two_models_of_one_optimizer_are_attached_as_one_module() -> None:
    both = nn.ModuleDict({"left": tiny_net(0), "right": tiny_net(1)})
    optimizer = SGD(both.parameters(), lr=0.1)
    handle = attach(optimizer, both, EVERY_UPDATE, forward=lambda m: [see_batch(m["left"]), see_batch(m["right"])])
    assert handle.targets == ("left.0.weight", "left.3.weight", "right.0.weight", "right.3.weight")


@pytest.mark.parametrize(("begin", "restored"), [(0, True), (2, False)])
def test_reapply_restores_the_norms_of_rounded_weights_within_the_phase(begin: int, restored: bool) -> None:
    net, optimizer, handle = attached(WeightRescaling(interval=1, begin=begin))
    train(net, optimizer, 1)
    net.half().float()
    rounded = net[0].weight.detach().clone()
    handle.reapply()
    assert are_unit(net) == restored
    assert torch.equal(net[0].weight, rounded) != restored


def test_reapplying_initial_norms_keeps_the_function() -> None:
    net = tiny_net()
    train(net, SGD(net.parameters(), lr=0.1), 3)
    _, optimizer, handle = attached(WeightRescaling(interval=2, radius="initial"), net=net)
    train(net, optimizer, 3)
    before, moved = outputs(net, see_batch, train=False), lengths(net)
    handle.reapply()
    assert not torch.allclose(moved, lengths(net), rtol=1e-6)
    assert change(before, outputs(net, see_batch, train=False)) < 1e-4
