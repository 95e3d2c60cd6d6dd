"""Layers as bars in the colours of their verdicts."""

import torch
from helpers.training import tiny_net

from normreg_plugins import find_scale_invariant
from normreg_plugins.core import Kind
from normreg_plugins.monitor import plot_verdicts
from normreg_plugins.monitor.verdict_plot import LOOKS


def test_every_layer_has_a_bar_and_every_kind_its_colour(tmp_path):
    net = tiny_net()
    verdicts = find_scale_invariant(net)
    with torch.no_grad():
        net.get_parameter(verdicts[0].name).zero_()  # a layer without any norm above 0
    plot_verdicts(net, verdicts, tmp_path / "layers.svg")
    text = (tmp_path / "layers.svg").read_text()
    assert all(verdict.name.removesuffix(".weight") in text for verdict in verdicts)
    for kind, count in verdicts.counts.items():
        assert f"{kind} ({count})" in text
        assert LOOKS[Kind(kind)][0].lower() in text
    assert len({colour for colour, _ in LOOKS.values()}) == len({hatch for _, hatch in LOOKS.values()}) == len(Kind)
