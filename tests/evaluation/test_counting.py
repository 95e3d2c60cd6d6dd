"""MAE, RMSE, bands and the grid error, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from normreg_plugins.evaluation import bands, count_errors, grid_error


def test_errors_by_hand():
    errors = count_errors([10, 20, 30], [13, 20, 26])
    assert errors.images == 3
    assert errors.mae == pytest.approx(7 / 3)
    assert errors.rmse == pytest.approx((25 / 3) ** 0.5)
    assert errors.bias == pytest.approx(1 / 3)
    assert "RMSE ('MSE') 2.89" in str(errors)
    for predicted, true in (([], []), ([[1.0]], [[2.0]]), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="equally long lists"):
            count_errors(predicted, true)


def test_each_image_is_in_one_band():
    true = [0, 99, 100, 101, 500, 9000]
    parts = bands(true, [100, 500])
    assert [name for name, _ in parts] == ["below 100", "100 to 500", "from 500"]
    np.testing.assert_array_equal(sum(mask.astype(int) for _, mask in parts), np.ones(6))
    np.testing.assert_array_equal(parts[1][1], [False, False, True, True, False, False])
    with pytest.raises(ValueError, match="rise"):
        bands(true, [500, 100])


def test_level_zero_is_the_count_error():
    rng = np.random.default_rng(0)
    density, points = rng.random((5, 7)), rng.random((11, 2)) * (52, 33)
    assert grid_error(density, points, 52, 33, 0) == pytest.approx(abs(density.sum() - 11))


def test_grid_error_against_pixels():
    """Spread each cell over its pixels of the picture, then add up pixels."""
    rng = np.random.default_rng(0)
    width, height, level = 44, 36, 2  # 4 x 4 parts of 11 x 9 pixels; cells end within parts
    density = rng.random((5, 6))
    points = rng.random((30, 2)) * (width, height)
    points[0] = width, height  # on the very corner
    pixels = np.zeros((height, width))
    for (row, column), mass in np.ndenumerate(density):
        covered = pixels[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        covered += mass / covered.size
    total = 0.0
    for i in range(4):
        for j in range(4):
            predicted = pixels[i * 9 : i * 9 + 9, j * 11 : j * 11 + 11].sum()
            column, row = (points // (11, 9)).clip(max=3).T
            total += abs(predicted - ((row == i) & (column == j)).sum())
    assert grid_error(density, points, width, height, level) == pytest.approx(total)


def test_a_map_of_another_picture_is_refused():
    with pytest.raises(ValueError, match="5 cells of 8 pixels do not make a map of 64"):
        grid_error(np.zeros((5, 5)), np.zeros((0, 2)), 64, 64, 1)
