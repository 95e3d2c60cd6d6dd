"""Parts of a weight, and one function applied to the parts of many weights at once."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from normreg_plugins import WeightRescaling, attach
from normreg_plugins.core.model import elementwise


@pytest.mark.parametrize("groups", [1, 2])
def test_filters_of_one_statistic_are_one_part(groups: int) -> None:
    """The mean square of their norms is 1, in each group."""
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(groups, 6), nn.Flatten(), nn.Linear(6 * 36, 2))
    attach(SGD(net.parameters(), lr=0.1), net, WeightRescaling(at_start=True, select="0.weight"))
    squares = net[0].weight.detach().reshape(groups, -1).square().sum(1)
    assert torch.allclose(squares, torch.full((groups,), 6.0 / groups))


def calls_of(values: list[float | Tensor], sizes: list[Tensor]) -> int:
    """How many calls `elementwise` needs. Each result must be that of a call for its weight alone."""
    calls = []

    def scaled(value: float | Tensor, size: Tensor) -> Tensor:
        calls.append(size)
        return value * size

    results = elementwise(scaled, values, sizes)
    for value, size, result in zip(values, sizes, results, strict=True):
        assert result.shape == size.shape
        assert result.dtype == size.dtype
        assert torch.equal(result, (value * size).to(size.dtype))
    return len(calls)


SIZES = [torch.rand(n, 1, 1, 1) for n in (3, 1, 4)]


def test_weights_with_the_same_value_take_one_call() -> None:
    assert calls_of([0.5, 0.5, 0.5], SIZES) == 1
    assert calls_of([0.5, 0.1, 0.5], SIZES) == 2
    assert calls_of([], []) == 0


def test_weights_of_different_dtypes_or_devices_take_a_call_each() -> None:
    assert calls_of([0.5] * 3, [SIZES[0], SIZES[1].double(), SIZES[2].double()]) == 2
    devices = []

    def noting(_: float, size: Tensor) -> Tensor:
        devices.append(size.device.type)
        return size

    elementwise(noting, [1.0] * 3, [SIZES[0], SIZES[1].to("meta"), SIZES[2]])
    assert devices == ["cpu", "meta"]


def test_a_rate_that_is_a_tensor_is_shared_by_its_group() -> None:
    """As `lr=torch.tensor(0.1)`: weights of one parameter group share one tensor of 0 dimensions."""
    one, other = torch.tensor(0.5), torch.tensor(0.5)
    assert calls_of([one, one, one], SIZES) == 1
    assert calls_of([one, other, one], SIZES) == 2
