"""A checkpoint keeps its function in a network with other norm layers or other convolutions."""

import re

import pytest
import torch
from helpers.layer_cases import fill_norms_, normalized_oracle
from torch import nn

from normreg_plugins.crowd import CSRNet
from normreg_plugins.layers import (
    NORMALIZATIONS,
    ScaleBias,
    load_pretrained_,
    lost_in_loading,
    normalized_class,
    relative_change,
)

resnet18 = pytest.importorskip("torchvision.models").resnet18

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()


def see_images(model: nn.Module) -> torch.Tensor:
    return model(IMAGES)


def biased(*args, **kwargs) -> nn.Conv2d:
    """As in VGG16-BN, where a convolution in front of a batch norm has a bias too."""
    return nn.Conv2d(*args, **{**kwargs, "bias": True})


def csrnet(norm=nn.BatchNorm2d, conv=nn.Conv2d) -> nn.Module:
    return CSRNet(norm, conv, output="free", width=0.1)


def normalized(name: str, **options):
    return lambda *args, **kwargs: normalized_class(nn.Conv2d, name)(*args, **kwargs, **options)


CASES = {
    "batch norm": (resnet18, lambda: resnet18(norm_layer=ScaleBias)),
    "batch norm behind biases": (lambda: csrnet(conv=biased), lambda: csrnet(ScaleBias)),
    "biases on both sides": (lambda: csrnet(conv=biased), lambda: csrnet(ScaleBias, biased)),
    "biases alone": (lambda: csrnet(None), lambda: csrnet(ScaleBias)),
    "scale-bias": (lambda: csrnet(ScaleBias), lambda: csrnet(ScaleBias)),
    "to WN": (csrnet, lambda: csrnet(conv=normalized("wn"))),
    "to WN, behind biases": (lambda: csrnet(conv=biased), lambda: csrnet(conv=normalized("wn"))),
    "to BWN": (csrnet, lambda: csrnet(conv=normalized("bwn"))),
    "to WN with gain": (csrnet, lambda: csrnet(conv=normalized("wn", gain=True))),
}


def trained(make) -> nn.Module:
    torch.manual_seed(0)
    net = fill_norms_(make()).double()
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim > 1:
                p.mul_(5 * torch.rand(len(p), 1, 1, 1) + 1 if p.ndim == 4 else 1)
            else:
                p.add_(0.3 * torch.randn(p.shape))
    return net


def filters_of_scale_biases(net: nn.Module) -> list[torch.Tensor]:
    blocks = [m for m in net.modules() if isinstance(getattr(m, "norm", None), ScaleBias)]
    return [block.conv.weight.detach().flatten(1) for block in blocks]


@pytest.mark.parametrize("name", CASES)
def test_the_function_is_kept(name: str) -> None:
    make, other = CASES[name]
    net, result = trained(make), other().double()
    loaded = load_pretrained_(result, net.state_dict())
    assert relative_change(net, result, see_images) < 1e-9
    assert loaded.missing == [n for n, _ in result.named_parameters() if n.endswith(".gain")]
    assert (loaded.unused, loaded.removed) == ([], [])
    for w in filters_of_scale_biases(result):
        torch.testing.assert_close(w.norm(dim=1), torch.full((len(w),), 2**0.5, dtype=w.dtype))


def test_it_is_kept_in_float32_with_another_c_and_eps() -> None:
    net, result = trained(csrnet).float(), csrnet(ScaleBias)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = 0.1
    load_pretrained_(result, net.state_dict(), c=1.0, eps=0.1)
    assert relative_change(net, result, lambda model: model(IMAGES.float())) < 1e-5
    assert filters_of_scale_biases(result)[3].norm(dim=1).allclose(torch.ones(()))


@pytest.mark.parametrize("to", ["pgd", *(name for name, each in NORMALIZATIONS.items() if each.centred)])
def test_what_centring_takes_is_said(to: str) -> None:
    net = trained(csrnet)
    result = (csrnet(ScaleBias) if to == "pgd" else csrnet(conv=normalized(to))).double()
    loaded = load_pretrained_(result, net.state_dict(), center=True)
    first = net.front.conv1_1.conv.weight.detach().flatten(1)
    expected = first.mean(1).abs() * first.shape[1] ** 0.5 / first.norm(dim=1)
    torch.testing.assert_close(loaded.removed[0], expected)
    assert len(loaded.removed) == 16
    assert f"at most {max(float(each.max()) for each in loaded.removed):.0%})" in str(loaded)
    assert relative_change(net, result, see_images) > 0.01
    centred = trained(csrnet)  # what is left, is what the centred filters compute
    for block in (m for m in centred.modules() if hasattr(m, "conv")):
        w = block.conv.weight.data
        w -= w.mean((1, 2, 3), keepdim=True)
    assert relative_change(centred, result, see_images) < 1e-9
    if to != "pgd":
        layer = result.front.conv1_1.conv
        torch.testing.assert_close(
            layer.normalized_weight(), normalized_oracle(layer, net.front.conv1_1.conv.weight, to), rtol=1e-6, atol=0
        )


def test_what_does_not_fit_is_named_and_a_dead_filter_stays_zero() -> None:
    net, result = trained(csrnet), csrnet(ScaleBias).double()
    net.front.conv1_2.conv.weight.data[2] = 0
    state = {n: value for n, value in net.state_dict().items() if not n.startswith("back.back6.")}
    state |= {"output.weight": torch.zeros(3, 6, 1, 1), "classifier.weight": torch.zeros(1)}
    own = result.back.back6.conv.weight.clone()
    loaded = load_pretrained_(result, state)
    assert loaded.unused == ["output.weight", "classifier.weight"]
    assert loaded.missing == [f"back.back6.{n}" for n in ("conv.weight", "norm.weight", "norm.bias")] + [
        "output.weight"
    ]
    assert "unused: output.weight, classifier.weight" in str(loaded)
    assert result.back.back6.conv.weight.equal(own)
    assert not result.front.conv1_2.conv.weight[2].any()
    assert relative_change(net.front, result.front, see_images) < 1e-9


def test_what_copying_loses_is_said_until_the_state_is_of_the_same_layers() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2))
    net[0].weight.data.copy_(torch.tensor([0.5, 4.0]).view(2, 1, 1, 1))
    net[1].running_var.copy_(torch.tensor([9.0, 0.04]))
    nets = [
        nn.Sequential(normalized("wn")(1, 2, 1, bias=False), nn.BatchNorm2d(2)),
        nn.Sequential(net[0], ScaleBias(2)),
    ]
    for other, said in zip(nets, ("as 0, .* x0.25 to x2 of", "as 1, .* x0.2 to x3 of")):
        assert lost_in_loading(other) == ""
        other.load_state_dict(net.state_dict(), strict=False)
        assert re.search(said, lost_in_loading(other))
        other.load_state_dict(other.state_dict())
        assert lost_in_loading(other) == ""
