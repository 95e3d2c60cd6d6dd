"""The same verdicts by numbers, without side effects."""

import pytest
import torch
from helpers.cases import ANY, CASES, Case
from helpers.nets import FrozenNorms, Net, bn, conv, images, see_images
from helpers.traces import everything_about, used
from torch import nn

from normreg_plugins import find_scale_invariant, prove_scale_invariant
from normreg_plugins.core.errors import ProofError


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_numbers_agree_with_what_was_seen_except_where_a_case_says_why(case: Case) -> None:
    net = used(case.make())
    before = everything_about(net)
    proven = {v.name: (v.kind, *v.norms) for v in prove_scale_invariant(net, case.forward)}
    assert everything_about(net) == before
    for name, expected in (case.expected | case.numbers).items():
        if ANY in expected:
            assert proven[name][0] == expected[0]
        else:
            assert proven[name] == expected


def test_a_forward_that_returns_nothing_is_refused() -> None:
    with pytest.raises(ProofError, match="returned no floating point tensor"):
        prove_scale_invariant(nn.Sequential(conv(), bn()), lambda model: print(model(images()).shape))


def test_a_forward_that_does_not_repeat_itself_is_refused() -> None:
    calls = iter(range(1000))

    def drifting(model: nn.Module) -> torch.Tensor:
        return model(images().roll(next(calls), dims=-1).relu())

    with pytest.raises(ProofError, match="second time"):
        prove_scale_invariant(nn.Sequential(conv(), bn(), conv(6, 3)), drifting)


def test_what_only_current_values_hide_does_not_pass() -> None:
    """While the last gamma of a residual branch is 0, no scale in it has an effect. Training changes that gamma."""
    net = Net(
        lambda n, x: x + n.bn2(n.conv2(n.conv1(x).relu() + x).relu()),
        conv1=conv(3, 3),
        conv2=conv(3, 3),
        bn2=bn(3),
    )
    nn.init.zeros_(net.bn2.weight)
    verdicts = {v.name: v.kind for v in prove_scale_invariant(net, see_images)}
    assert verdicts == {"conv1.weight": "free", "conv2.weight": "invariant"}


def test_uninitialized_memory_does_not_pass_either() -> None:
    net = Net(lambda n, x: n.bn(n.conv(x)) + n.head(x), conv=conv(), bn=bn(), head=conv())
    nn.init.uniform_(net.head.weight, 0, 1e-40)
    assert [v.kind for v in prove_scale_invariant(net, see_images)] == ["invariant", "free"]


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize("combine", [torch.mul, lambda a, b: a / (b.square() + 0.1)], ids=["product", "quotient"])
def test_factors_of_two_layers_do_not_cancel(combine, channels: int) -> None:
    """Factors a and 1/a cancel in a product of two outputs, so no two layers may get such a pair."""
    net = Net(
        lambda n, x: n.bn(n.conv(x)) + combine(n.left(x), n.right(x)),
        conv=conv(3, channels),
        bn=bn(channels),
        left=conv(3, channels),
        right=conv(3, channels),
    )
    verdicts = {v.name: v.kind for v in prove_scale_invariant(net, see_images)}
    assert verdicts == {"conv.weight": "invariant", "left.weight": "free", "right.weight": "free"}


def blocks(count: int, net: type[Net] = Net, leak: int | None = None) -> Net:
    """Convolutions with a norm layer each, and a head. The output of number `leak` is also read untraced."""

    def flow(n: Net, x: torch.Tensor) -> torch.Tensor:
        for i in range(count):
            y = getattr(n, f"conv{i}")(x)
            x = getattr(n, f"bn{i}")(y).relu()
            if i == leak:
                x = x + float(y.detach().numpy().std()) * x.square()
        return n.head(x.mean((2, 3)))

    convs = {f"conv{i}": conv(6 if i else 3) for i in range(count)}
    return net(flow, **convs, **{f"bn{i}": bn() for i in range(count)}, head=nn.Linear(6, 2))


@pytest.mark.parametrize(("net", "kind"), [(Net, "invariant"), (FrozenNorms, "compensated")])
def test_promises_that_are_kept_cost_a_few_forwards_together(net: type[Net], kind: str) -> None:
    calls = []
    verdicts = prove_scale_invariant(blocks(20, net), lambda model: (calls.append(1), see_images(model)))
    assert [v.kind for v in verdicts] == [kind] * 20 + ["free"]
    assert [v.norms for v in verdicts] == [(f"bn{i}",) for i in range(20)] + [()]
    assert len(calls) <= 11


@pytest.mark.parametrize(("net", "kind"), [(Net, "invariant"), (FrozenNorms, "compensated")])
def test_one_promise_that_is_not_kept_is_found_among_many(net: type[Net], kind: str) -> None:
    leaking = blocks(9, net, leak=3)
    assert find_scale_invariant(leaking, see_images)[3].kind == kind
    proven = prove_scale_invariant(leaking, see_images)
    assert [v.kind for v in proven] == [kind] * 3 + ["unsafe"] + [kind] * 5 + ["free"]


@pytest.mark.parametrize("gradients", [True, False])
def test_scales_that_are_clearly_seen_cost_one_backward_together(gradients: bool) -> None:
    """A forward without gradients is run twice for each of them."""
    calls = []

    def forward(model: nn.Module) -> list[torch.Tensor]:
        calls.append(1)
        outputs = see_images(model)
        return outputs if gradients else [each.detach() for each in outputs]

    heads = {f"head{i}": conv(6, bias=True) for i in range(20)}
    net = Net(lambda n, x: [getattr(n, name)(n.bn(n.conv(x))) for name in heads], conv=conv(), bn=bn(), **heads)
    assert [v.kind for v in prove_scale_invariant(net, forward)] == ["invariant"] + ["free"] * 20
    assert (len(calls) < 20) == gradients


class Standardized(nn.Conv2d):
    """As mmcv's ConvWS2d: an eps beside the deviation that it divides by."""

    eps = 1e-2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, centred / (centred.std((1, 2, 3), keepdim=True) + self.eps), self.bias)


def test_the_eps_of_a_layer_that_normalizes_its_weight_does_not_count() -> None:
    net = nn.Sequential(Standardized(3, 6, 3), nn.ReLU(), Standardized(6, 6, 3))
    assert [v.kind for v in prove_scale_invariant(net, see_images)] == ["invariant"] * 2
    assert net[0].eps == 1e-2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_numbers_hold_in_every_dtype(dtype: torch.dtype) -> None:
    net = nn.Sequential(conv(bias=True), bn(), nn.ReLU(), conv(6, 6), nn.SiLU(), bn()).to(dtype)
    verdicts = prove_scale_invariant(net, lambda model: model(images().to(dtype)))
    assert [v.kind for v in verdicts] == ["invariant", "free"]


def test_a_batch_of_one_value_per_channel_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        prove_scale_invariant(net, lambda model: model(images()[:1]))
