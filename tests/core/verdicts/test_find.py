"""What one traced forward shows of each weight, net by net."""

import pytest
from helpers.cases import ANY, CASES, Case
from helpers.nets import bn, conv, see_images
from helpers.traces import everything_about, used
from torch import nn

from normreg_plugins import Kind, Verdict, Verdicts, find_scale_invariant


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_weight_gets_its_verdict(case: Case) -> None:
    net = used(case.make())
    before = everything_about(net)
    seen = {v.name: (v.kind, *v.norms) for v in find_scale_invariant(net, case.forward)}
    find_scale_invariant(net)
    assert everything_about(net) == before
    assert list(seen) == [name for name, _ in net.named_parameters() if name in case.expected]
    for name, expected in case.expected.items():
        if ANY in expected:
            assert seen[name][0] == expected[0]
        else:
            assert seen[name] == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SiLU between", "silu"),
        ("ReLU between, with bias", "bias"),
        ("output also added to something", "mean"),
        ("output also returned", "caller"),
        ("residual sum before the norm", "add"),
        ("weight also penalized", "weight itself"),
        ("tied weights", "tied"),
        ("any parametrization", "parametrized"),
        ("a layer that is never called", "never called"),
        ("one norm behind two convs", "other layers"),
        ("norms in eval mode", "frozen"),
        ("conv, depthwise conv, norm", "depthwise"),
    ],
)
def test_the_reason_says_why(name: str, words: str) -> None:
    verdicts = find_scale_invariant(CASES[name].make(), CASES[name].forward)
    assert any(words in v.reason for v in verdicts)
    assert all(v.reason for v in verdicts)


def test_verdicts_print_as_a_table_and_serve_as_data() -> None:
    verdicts = find_scale_invariant(CASES["pre-activation blocks"].make(), see_images)
    assert isinstance(verdicts, Verdicts)
    assert verdicts.counts == {"invariant": 2, "free": 2, "unsafe": 1}
    assert [v.name for v in verdicts.of("invariant")] == ["conv1.weight", "conv3.weight"]
    assert isinstance(verdicts[0], Verdict)
    for verdict in verdicts:
        assert all(part in str(verdicts) for part in (verdict.name, str(verdict.kind), *verdict.norms, verdict.reason))


def test_kinds_compare_equal_to_their_names() -> None:
    names = {"invariant", "compensated", "per_group", "per_layer", "free", "unsafe"}
    assert {str(kind) for kind in Kind} == names
    assert all(kind == str(kind) for kind in Kind)


def test_a_net_inside_a_wrapper_is_named_as_its_parameters_are() -> None:
    wrapped = nn.DataParallel(CASES["conv and norm"].make())
    (verdict,) = find_scale_invariant(wrapped, see_images)
    assert (verdict.name, verdict.norms) == ("module.conv.weight", ("module.bn",))


def test_structure_alone_sees_only_what_is_registered_right_after() -> None:
    net = nn.Sequential(conv(), bn(), nn.ReLU(), conv(6, 6), nn.ReLU(), bn(), nn.Linear(6, 2))
    verdicts = {v.name: v.kind for v in find_scale_invariant(net)}
    assert verdicts == {"0.weight": "invariant", "3.weight": "free", "6.weight": "free"}
