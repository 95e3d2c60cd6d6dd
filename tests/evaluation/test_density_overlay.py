"""The density map lies over the image where its cells are, under a readable title."""

import numpy as np
import pytest

from normreg_plugins.evaluation import overlay

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("size", [(97, 411), (60, 90), (700, 513)])
def test_the_density_is_drawn_where_it_is_and_the_rest_stays(size):
    height, width = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    density = np.zeros((-(-height // 8), -(-width // 8)), dtype=np.float32)
    density[5, 9] = 2.0  # the cell whose centre is (76, 44)
    drawn = overlay(image, density, "predicted 2.0")
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] == max(width, 320)
    body = drawn[-height:, :width].astype(int)
    rows, columns = np.nonzero(np.abs(body - image).sum(2) > 60)
    assert abs(rows.mean() - 44) < 3
    assert abs(columns.mean() - 76) < 3
    far = np.ones((height, width), dtype=bool)
    far[20:70, 50:100] = False
    assert np.abs(body - image)[far].max() <= 1
    title = drawn[: drawn.shape[0] - height]
    assert (title < 100).any()
    assert (title[:, -4:] == 255).all()  # the title fits


def test_a_map_without_density_leaves_the_image_as_it_is():
    image = np.full((40, 400, 3), 90, dtype=np.uint8)
    drawn = overlay(image, np.zeros((5, 50), dtype=np.float32), "predicted 0.0, annotated 0")
    assert (drawn[-40:] == 90).all()
