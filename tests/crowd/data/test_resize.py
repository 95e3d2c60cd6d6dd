"""The sizes that pictures are brought to, and their points with them."""

from __future__ import annotations

import numpy as np
import pytest

from normreg_plugins.crowd.data import LONGEST_SIDE, bounded_size, resize, resize_points


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 800), (1000, 800)),
        ((400, 300), (683, 512)),
        ((300, 400), (512, 683)),
        ((9000, 6000), (3072, 2048)),
        ((1, 1), (512, 512)),
    ],
)
def test_the_shorter_side_comes_within_bounds(size, expected):
    assert bounded_size(*size) == expected


@pytest.mark.parametrize("size", [(3000, 10), (1, 100_000), (50_000, 40_000)])
def test_no_shape_makes_a_picture_too_large(size):
    width, height = bounded_size(*size)
    assert max(width, height) <= LONGEST_SIDE
    assert min(width, height) >= 1
    if min(width, height) > 10:
        assert abs(np.log(width / height) - np.log(size[0] / size[1])) < 0.1


def test_bad_bounds_are_refused():
    with pytest.raises(ValueError, match="600, 500"):
        bounded_size(10, 10, (600, 500))


def test_points_move_with_their_picture():
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[10, 30] = 255
    large = resize(image, (120, 80))
    spot = np.argwhere(large[..., 0] > 128)[:, ::-1] + 0.5
    moved = resize_points(np.array([[30.5, 10.5]], dtype=np.float32), (60, 40), (120, 80))
    np.testing.assert_allclose(spot.mean(0), moved[0], atol=0.6)
    corner = resize_points(np.array([[60.0, 40.0]], dtype=np.float32), (60, 40), (119, 80))
    assert (corner <= (119, 80)).all()
