"""What centring does to a trained net, in numbers: `pytest tests/layers/test_centring_cost.py -s`.

A net with batch norms learns scikit-learn's digits; its conversions are then evaluated as they are,
and once more after its statistics were taken anew on the training images.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from normreg_plugins.layers import convert, fold, relative_change

datasets = pytest.importorskip("sklearn.datasets")

WAYS = {
    "wn": {},
    "bwn": {},
    "pgd": {},
    "cwn": {},
    "ws": {},
    "pgd, centred": {"centre": True},
}


def digits() -> tuple[Tensor, Tensor]:
    images, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(images).float().view(-1, 1, 8, 8)[order]
    return (x - x.mean()) / x.std(), torch.from_numpy(labels)[order]


def trained_net(x: Tensor, y: Tensor) -> nn.Module:
    torch.manual_seed(0)
    blocks, channels = [], 1
    for width, stride in ((16, 1), (32, 2), (32, 1), (64, 2)):
        conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        blocks += [conv, nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    for _ in range(8):
        for batch in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((net.eval()(x).argmax(1) == y).float().mean())


def mean_share(net: nn.Module) -> float:
    """The part of the filters' squared length that lies in their means, which centring takes off."""
    weights = [m.weight.detach().flatten(1) for m in net.modules() if isinstance(m, nn.Conv2d)]
    lengths = sum(float((w.mean(1) ** 2).sum()) * w.shape[1] for w in weights)
    return lengths / sum(float((w**2).sum()) for w in weights)


def see(x: Tensor):
    return lambda model: model(x[:50])


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = digits()
    return x[:1000], y[:1000], x[1000:], y[1000:]


def test_centring_costs_what_new_statistics_mend_and_nothing_else_costs(data) -> None:
    x, y, x_test, y_test = data
    net = trained_net(x, y)
    start = accuracy(net, x_test, y_test)
    assert start > 0.95
    print(f"\nbatch norm net: accuracy {start:.4f}, {mean_share(net):.1%} of ||w||^2 lies in means")
    for name, options in WAYS.items():
        result = convert(net, name.split(",")[0], see(x), **options)
        change = relative_change(net, result, see(x_test))
        now = accuracy(result, x_test, y_test)
        print(f"{name:13} relative change {change:.1e}, accuracy {now:.4f}")
        if name in ("wn", "bwn", "pgd"):
            assert change < 1e-5
            assert now == pytest.approx(start, abs=0.002)
        else:
            assert change > 1e-2
            assert now < start - 0.1


def test_the_way_to_a_centred_net_on_the_sphere_is_by_new_statistics(data) -> None:
    x, y, x_test, y_test = data
    net = trained_net(x, y)
    start = accuracy(net, x_test, y_test)
    centred = convert(net, "cwn", see(x))
    update_bn(x.split(50), centred)
    mended = accuracy(centred, x_test, y_test)
    norms = [name for name, m in centred.named_modules() if isinstance(m, nn.BatchNorm2d)]
    plain = fold(centred, see(x), keep=norms)  # ordinary layers again, their norms kept
    sphere = convert(plain, "pgd", see(x), centre=True)
    now = accuracy(sphere, x_test, y_test)
    print(f"\naccuracy {start:.4f}, centred with new statistics {mended:.4f}, on the sphere {now:.4f}")
    assert relative_change(centred, sphere, see(x_test)) < 1e-5
    assert now == pytest.approx(mended, abs=0.002)
    assert mended > start - 0.05
