"""The visualizer draws the density where it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("mmcv")

from helpers.mini_crowd import sample_of
from mmengine.registry import VISUALIZERS

from normreg_plugins.crowd.data import read_rgb

pytestmark = pytest.mark.mm


def test_visualizer_draws_density_where_it_is(tmp_path):
    visualizer = VISUALIZERS.build({"type": "CrowdVisualizer", "name": "crowd-test"})
    image = np.full((60, 90, 3), 100, dtype=np.uint8)
    sample = sample_of(60, 90, name="a", count=7)
    sample.density = torch.zeros(8, 12)
    sample.density[2, 9] = 3.0
    sample.predicted_count = 3.0
    file = tmp_path / "new" / "drawn.png"
    visualizer.add_datasample("a", image, sample, out_file=str(file))
    drawn = read_rgb(file)
    body = drawn[-60:, :90].astype(int)
    changed = np.abs(body - 100).sum(2) > 30
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 20) < 4
    assert abs(columns.mean() - 76) < 4
    assert drawn.shape[0] > 60  # the title
    assert (drawn[:-60] < 100).any()
