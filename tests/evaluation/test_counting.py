"""MAE, RMSE, bands and the grid error, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from normreg_plugins.evaluation.counting import bands, count_errors


def test_errors_by_hand():
    errors = count_errors([10, 20, 30], [13, 20, 26])
    assert errors.images == 3
    assert errors.mae == pytest.approx(7 / 3)
    assert errors.rmse == pytest.approx((25 / 3) ** 0.5)
    assert errors.bias == pytest.approx(1 / 3)
    assert errors.nae == pytest.approx((3 / 13 + 4 / 26) / 3)
    assert "RMSE ('MSE') 2.89, NAE 0.1282" in str(errors)
    assert count_errors([10, 7], [5, 0]).nae == 1  # of the images with people
    assert count_errors([7], [0]).nae == 0
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
