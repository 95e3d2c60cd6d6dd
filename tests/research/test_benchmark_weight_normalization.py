"""The benchmark runs every layer's own normalization, and nothing but that."""

import pytest
import torch
from torch import nn

from research import benchmark_weight_normalization as tool

SMALL = [8, 16]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", list(tool.rivals()))
def test_a_layer_returns_the_weight_that_it_convolves_with(name: str) -> None:
    layers = tool.Normalizations(tool.rivals()[name][0], SMALL)
    assert len(layers.layers) == 4
    for layer, weight in zip(layers.layers, layers.normalized(), strict=True):
        x = torch.randn(1, layer.in_channels, 4, 4)
        torch.testing.assert_close(layer(x), nn.functional.conv2d(x, weight, padding=layer.padding))
    assert all(seconds > 0 for seconds in layers.seconds())
    assert all(parameter.grad is not None for parameter in layers.parameters)


def test_what_is_kept_for_backward_is_counted() -> None:
    class TwiceTheSine(nn.Conv2d):
        def forward(self, _):
            return nn.functional.conv2d(_, 2 * self.weight.sin().sin())  # keeps sin(weight), as large as the weight

    assert tool.Normalizations(TwiceTheSine, SMALL).kept() == 1
    assert tool.Normalizations(tool.StdConv2d, SMALL).kept() < 0.1
    assert tool.Normalizations(tool.WSConv2d, SMALL).kept() < 0.1


def test_ratios_are_medians_over_the_rounds() -> None:
    times = {"ours": [(1.0, 1.0), (1.0, 3.0), (9.0, 9.0)], "theirs": [(2.0, 2.0), (2.0, 2.0), (1.0, 1.0)]}
    assert tool.ratios(times, "ours", "theirs") == (0.5, 1.5, 1.0)
    assert tool.ratios(times, "theirs", "theirs") == (1.0, 1.0, 1.0)


def test_it_prints_ratios(capsys) -> None:
    assert tool.main(["--widths", "8", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    assert {row[1].strip() for row in rows} == set(tool.rivals())
    assert next(row for row in rows if row[1].strip() == tool.TIMM)[5].strip() == "1.00"


def test_what_cannot_be_measured_is_refused(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        tool.main(["--widths", "1"])
    assert "--widths 1: must be 2 or more" in capsys.readouterr().err
