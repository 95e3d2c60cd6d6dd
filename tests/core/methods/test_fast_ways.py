"""The way that is only faster: one GPU kernel for all weights."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from helpers.branches import Branches
from helpers.measures import EXACT, relative_error
from torch.optim import SGD

from normreg_plugins import AdaptiveWeightShrink, SphereDescent, WeightRescaling, attach, find_scale_invariant
from normreg_plugins.core.model import filters_of, one_launch, scale_each_filter_

METHODS = {
    "WRS": WeightRescaling(interval=1),
    "WRS, initial norms": WeightRescaling(interval=1, radius="initial"),
    "WRS(IC)": WeightRescaling(interval=1, per="position"),
    "AWS by norm": AdaptiveWeightShrink(alpha=0.3, measure="norm"),
    "AWS by std": AdaptiveWeightShrink(alpha=2.0, measure="std"),
    "PGD": SphereDescent(),
}
per_method = pytest.mark.parametrize("method", METHODS)


def updated(net: Branches, method: str) -> Branches:
    """Two updates by SGD with fixed gradients."""
    net = copy.deepcopy(net)
    optimizer = SGD(net.parameters(), lr=0.05)
    attach(optimizer, net, METHODS[method], proof=find_scale_invariant(net))
    for seed in range(2):
        torch.manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn(parameter.shape).to(parameter)
        optimizer.step()
    return net


def assert_same(net: Branches, other: Branches, exact: float) -> None:
    assert net.state_dict().keys() == other.state_dict().keys()
    for (name, ours), theirs in zip(net.state_dict().items(), other.state_dict().values()):
        assert relative_error(ours, theirs) <= 3 * exact, name
        assert ours.stride() == theirs.stride()


def test_the_mean_of_a_filter_may_be_far_larger_than_what_is_left() -> None:
    """||w||^2 - n mean^2 would cancel here: all digits of the norm would be lost."""
    net = Branches(torch.float32, turn=0)
    with torch.no_grad():
        for layer, _ in net.values():
            layer.weight.add_(1000.0)
    exact = updated(copy.deepcopy(net).double(), "PGD")
    assert_same(updated(net, "PGD").double(), exact, 1e-3)  # of 1000 + w, float32 keeps 4 digits of w


needs_triton = pytest.mark.skipif(not one_launch.has_triton(), reason="Triton comes with torch >= 2.6 for CUDA")


@needs_triton
@pytest.mark.slow
def test_one_launch_in_tritons_interpreter() -> None:
    """It runs the kernel line by line on a CPU. Triton chooses that when it is first imported: in a new process."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "NORMREG_ONE_LAUNCH": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::TestOneLaunch"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "15 passed" in done.stdout


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="runs inside the test above")
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value|overflow):RuntimeWarning:triton")
class TestOneLaunch:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
    @per_method
    def test_it_is_the_usual_way(self, monkeypatch, method: str, dtype: torch.dtype) -> None:
        net = Branches(dtype, turn=1)
        with torch.no_grad():
            net["conv2d"][0].weight[2] = 0
        ours = updated(net, method)
        assert one_launch._table.cache_info().currsize > 0 or method == "WRS(IC)"
        one_launch._table.cache_clear()
        monkeypatch.setenv("NORMREG_ONE_LAUNCH", "0")
        assert_same(ours, updated(net, method), EXACT[dtype])
        assert one_launch._table.cache_info().currsize == 0

    def test_it_takes_filters_that_lie_in_one_piece(self) -> None:
        taken = {
            turn: {
                kind
                for kind, (layer, _) in Branches(torch.float32, turn).items()
                if one_launch.one_launch_takes(layer.weight, filters_of(layer))
            }
            for turn in range(3)
        }
        everywhere = {"conv1d", "conv2d", "conv3d", "pointwise", "grouped", "depthwise", "linear"}
        assert set.union(*taken.values()) == everywhere
        assert all(kinds < everywhere for kinds in taken.values())  # one layout of three leaves gaps

    def test_broken_and_zero_filters_stay(self) -> None:
        weight = torch.randn(5, 3, 3, 3)
        weight[1], weight[2, 0, 0, 0], weight[3, 1, 1, 1] = 0, torch.nan, torch.inf
        before = weight.clone()
        [(sizes, factors)] = scale_each_filter_([weight], 1.0)
        assert torch.equal(weight[1:4].nan_to_num(7), before[1:4].nan_to_num(7))
        assert factors[1:4].tolist() == torch.ones(3, 1, 1, 1).tolist()
        torch.testing.assert_close(weight[[0, 4]].flatten(1).norm(dim=1), torch.ones(2))
        torch.testing.assert_close(sizes[[0, 4]].flatten(), before[[0, 4]].flatten(1).norm(dim=1))

    def test_a_skipped_step_leaves_every_bit(self) -> None:
        weight = torch.randn(5, 3, 3, 3)
        before = weight.clone()
        scale_each_filter_([weight], 1.0, acts=torch.tensor(False), center=True)
        assert torch.equal(weight, before)


@needs_triton
def test_the_kernel_compiles_for_a_gpu() -> None:
    """Triton brings the compiler along, so this needs no GPU."""
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from normreg_plugins.core.model.filter_kernel import scale_each_filter

    options = {"CENTER": True, "STD": False, "SHRINK": False, "BLOCK": 1024, "SMALLEST": 1e-19, "LARGEST": 3e38}
    constants = {"DTYPE": tl.float16, "WIDE": tl.float32, **options}
    pointers = dict(zip(scale_each_filter.arg_names, ("*i64", "*i32", "*fp32", "*fp32", "*fp32", "*i8")))
    signature = {**pointers, **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(scale_each_filter, signature, constexprs=constants)
    assert compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
