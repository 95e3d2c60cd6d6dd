"""Updates on the device "cuda" under torch's FakeTensorMode, which needs no GPU.

A tensor on another device raises there, and so does reading a value on the host, for which a GPU would make the CPU
wait. The same mode counts operations, which on a GPU are kernel launches.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.optim import SGD, AdamW
from torch.utils._python_dispatch import TorchDispatchMode

from normreg_plugins import (
    AdaptiveWeightShrink,
    CorrectedDecay,
    Hyperball,
    SphereDescent,
    WeightDecay,
    WeightRescaling,
    attach,
)
from normreg_plugins.core.methods import Method
from normreg_plugins.core.verdicts import find_scale_invariant

pytestmark = pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="torch < 2.6 asks for a driver")

WEIGHTS = 8
LAUNCHES = {
    WeightRescaling(interval=1): 2,
    AdaptiveWeightShrink(): 2,
    SphereDescent(): 6,
    Hyperball(): 6,
    CorrectedDecay(5e-4): 1,
}
"""Kernel launches per weight in one update; MORE in all come on top."""
MORE = 15
METHODS = [
    *LAUNCHES,
    WeightRescaling(interval=1, radius="initial"),
    WeightRescaling(interval=1, per="position"),
    WeightRescaling(interval=2, begin=1, at_start=True),
    AdaptiveWeightShrink(measure="std"),
    SphereDescent(center=False),
    Hyperball(per="filter"),
    WeightDecay(),
]
OPTIMIZERS = {
    "SGD": lambda p: SGD(p, lr=0.1, momentum=0.9),
    "AdamW": lambda p: AdamW(p, lr=1e-3),
}


class Launches(TorchDispatchMode):
    """Counts operations that launch a kernel on a GPU: no views, and nothing whose result is on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        on_host = isinstance(result, torch.Tensor) and result.device.type == "cpu"
        if func.namespace == "aten" and not is_view and not on_host:
            self.names.append(str(func))
        return result


def attached(method: Method, optimizer: str, dtype: torch.dtype, device: str = "cuda", last: str = ""):
    """Call in the mode. The weights are chosen by structure; a proof on record spares the test by gradients.

    Args:
        last: another device for the last convolution and all behind it.
    """
    with torch.device(device):
        layers = [
            layer
            for place in range(WEIGHTS - 1)
            for layer in (nn.Conv2d(4, 4, 3, bias=place % 2 == 0, dtype=dtype), nn.BatchNorm2d(4, dtype=dtype))
        ]
    with torch.device(last or device):
        behind = [nn.Conv2d(4, 4, 3, dtype=dtype), nn.BatchNorm2d(4, dtype=dtype), nn.Linear(4, 2, dtype=dtype)]
    net = nn.Sequential(*layers, *behind)
    made = OPTIMIZERS[optimizer](net.parameters())
    handle = attach(made, net, method, proof=find_scale_invariant(net))
    for parameter in net.parameters():
        parameter.grad = torch.empty_like(parameter)
    return net, made, handle


@pytest.mark.parametrize(("place", "method"), [*enumerate(METHODS)], ids=repr)
def test_no_update_waits_for_the_gpu(place: int, method: Method) -> None:
    """Each method with one optimizer and dtype; each of these with several methods."""
    optimizer, dtype = [*OPTIMIZERS][place % 2], (torch.float32, torch.bfloat16)[place // 2 % 2]
    with FakeTensorMode():
        _, made, handle = attached(method, optimizer, dtype)
        made.step()
        made.step()
        assert handle.updates == 2
        assert len(handle.targets) == WEIGHTS


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_model_may_be_divided_among_devices(method: Method) -> None:
    with FakeTensorMode():
        _, made, handle = attached(method, "SGD", torch.float32, last="cuda:1")
        made.step()
        made.step()
        assert handle.updates == 2


def test_an_average_may_be_on_another_device() -> None:
    with FakeTensorMode():
        _, _, handle = attached(WeightRescaling(), "SGD", torch.float32)
        average, _, _ = attached(WeightRescaling(), "SGD", torch.float32, device="cpu")
        handle.correct_average(average)


def test_the_mode_notices_a_value_that_is_read_and_a_wrong_device() -> None:
    class Reads(WeightRescaling):
        def after_update(self, targets, rates):
            return super().after_update(targets, rates) if targets[0].weight.sum() > 0 else []

    class OnTheHost(WeightRescaling):
        def after_update(self, targets, rates):
            return [targets[0].weight.detach() * torch.ones(4, 1, 1, 1)]

    for method, error in ((Reads(interval=1), DataDependentOutputException), (OnTheHost(interval=1), RuntimeError)):
        with FakeTensorMode():
            _, made, _ = attached(method, "SGD", torch.float32)
            with pytest.raises(error):
                made.step()


@pytest.mark.parametrize("method", LAUNCHES, ids=repr)
def test_an_update_takes_few_kernel_launches(method: Method) -> None:
    """Every second weight has a bias, for which the mean of a norm layer takes 4 more in all."""
    counts = []
    with FakeTensorMode():
        for use in (method, None):
            _, made, handle = attached(method, "SGD", torch.float32)
            if use is None:
                handle.detach()
            made.step()  # the first step makes the momentum
            with Launches() as launches:
                made.step()
            counts.append(len(launches.names))
    ours = counts[0] - counts[1]
    print(f"{method}: {ours} operations for {WEIGHTS} weights")
    assert 0 < ours <= LAUNCHES[method] * WEIGHTS + MORE + 4
