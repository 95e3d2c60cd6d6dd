"""Which points are kept, and their distances."""

from __future__ import annotations

import numpy as np

from normreg_plugins.crowd.data import clean_points, neighbour_distances


def test_only_points_in_the_picture_stay():
    points = np.array(
        [[0, 0], [10, 5], [10.1, 5], [-0.1, 2], [3, np.nan], [np.inf, 1], [4, 4], [4, 4]], dtype=np.float32
    )
    clean = clean_points(points, width=10, height=5)
    np.testing.assert_array_equal(clean.points, [[0, 0], [10, 5], [4, 4], [4, 4]])
    assert (clean.outside, clean.not_finite, clean.duplicates) == (2, 2, 1)


def test_neighbour_distances_by_hand():
    line = np.array([[0, 0], [1, 0], [3, 0], [7, 0], [20, 0]], dtype=np.float32)
    expected = [(1 + 3 + 7) / 3, (1 + 2 + 6) / 3, (2 + 3 + 4) / 3, (4 + 6 + 7) / 3, (13 + 17 + 19) / 3]
    np.testing.assert_allclose(neighbour_distances(line), expected, rtol=1e-6)


def test_neighbour_distances_of_few_and_of_twins():
    np.testing.assert_array_equal(neighbour_distances(np.array([[3, 4]], dtype=np.float32)), [np.inf])
    two = np.array([[0, 0], [3, 4]], dtype=np.float32)
    np.testing.assert_array_equal(neighbour_distances(two), [5, 5])
    twins = np.zeros((5, 2), dtype=np.float32)
    np.testing.assert_array_equal(neighbour_distances(twins), np.zeros(5))
